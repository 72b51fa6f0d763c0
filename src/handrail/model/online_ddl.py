"""How MySQL and MariaDB carry out a part of an ALTER TABLE on InnoDB, and whom that keeps waiting.

The server picks the first of INSTANT, INPLACE and COPY that can do all parts of a statement. The major version tells
the two apart: MySQL's are 8 and 9, MariaDB's 10 and above. Sources: MySQL 8.0 to 9.x,
https://dev.mysql.com/doc/refman/8.0/en/innodb-online-ddl-operations.html; MariaDB 10.6 to 12.x,
https://mariadb.com/kb/en/innodb-online-ddl-operations-with-the-instant-alter-algorithm/ and the pages beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from handrail.model import action as act
from handrail.model.action import Action
from handrail.model.effect import Blocks, Cost
from handrail.model.replayed import EMPTY, Replayed
from handrail.model.schema import ConstraintKind
from handrail.model.spec import UNKNOWN, ColumnSpec, Unknown

FIRST_MARIADB = 10
_MYSQL = "https://dev.mysql.com/doc/refman/8.0/en/innodb-online-ddl-operations.html"
_MARIADB = "https://mariadb.com/kb/en/innodb-online-ddl-operations-with-the-instant-alter-algorithm/"
#: From here on a copy of MariaDB does not keep writers waiting (11.2, told by the major version that follows it):
#: https://mariadb.com/kb/en/online-alter-table/ (MDEV-16329).
_COPIES_ONLINE = 12
#: The first major of MySQL in which every release drops and renames columns instantly (since 8.0.29 and 8.0.28).
_ALL_INSTANT = 9


class Algorithm(IntEnum):
    """What the server does, the lightest first; REBUILD is INPLACE with every row written anew."""

    INSTANT = 0
    INPLACE = 1
    REBUILD = 2
    SHARED = 3
    COPY = 4

    @property
    def words(self) -> str:
        """The clause that asks for it, and fails where the server would have to do more."""
        return {
            Algorithm.INSTANT: "ALGORITHM=INSTANT",
            Algorithm.INPLACE: "ALGORITHM=INPLACE, LOCK=NONE",
            Algorithm.REBUILD: "ALGORITHM=INPLACE, LOCK=NONE",
            Algorithm.SHARED: "ALGORITHM=INPLACE, LOCK=SHARED",
            Algorithm.COPY: "ALGORITHM=COPY, LOCK=SHARED",
        }[self]

    @property
    def cost(self) -> Cost:
        """How long it works."""
        if self is Algorithm.INSTANT:
            return Cost.INSTANT
        return Cost.SCAN if self in {Algorithm.INPLACE, Algorithm.SHARED} else Cost.REWRITE


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How one part of an ALTER TABLE is carried out; `certain` is False where that hangs on what is not known.

    `why` says in half a sentence why it is not lighter, '' where there is nothing to say.
    """

    algorithm: Algorithm
    why: str = ""
    certain: bool = True


_INSTANT = Way(algorithm=Algorithm.INSTANT)
_INPLACE = Way(algorithm=Algorithm.INPLACE)


def is_mariadb(server_major: int) -> bool:
    """Return whether a server of that major version is MariaDB."""
    return server_major >= FIRST_MARIADB


def source(server_major: int) -> str:
    """Return the page that the claims rest on."""
    return _MARIADB if is_mariadb(server_major) else _MYSQL


def blocks(algorithm: Algorithm, server_major: int) -> Blocks:
    """Return whom the long part of the work keeps waiting."""
    if algorithm is Algorithm.COPY and server_major < _COPIES_ONLINE:
        return Blocks.WRITES
    return Blocks.WRITES if algorithm is Algorithm.SHARED else Blocks.SCHEMA_CHANGES


def way(
    actions: Iterable[Action], server_major: int, *, before: Replayed = EMPTY, checks_keys: bool = True
) -> Way | None:
    """Return how the actions of one statement are carried out together, None where none of them is an ALTER TABLE's.

    `before` is the schema before them; without it what hangs on a column's old definition is not certain.
    `checks_keys` is False after SET foreign_key_checks = 0.
    """
    told = tuple(actions)
    ground = _Ground(major=server_major, before=before, checks_keys=checks_keys)
    found = [one for one in (_of(action, ground) for action in told) if one is not None]
    if not found:
        return None
    worst = max(found, key=lambda one: (one.algorithm, not one.certain))
    replaces_key = any(_makes_primary(a) for a in told) and any(_drops_primary(a) for a in told)
    others = [one for one in found if one.why != _KEY_DROPPED]
    if replaces_key and max(others, key=lambda one: one.algorithm, default=_INSTANT).algorithm < Algorithm.COPY:
        return Way(algorithm=Algorithm.REBUILD, why="the rows are stored in the order of the new primary key")
    if worst.algorithm is Algorithm.INPLACE and any(isinstance(a, act.AddColumn | act.DropColumn) for a in told):
        alone = all(isinstance(a, act.AddColumn | act.DropColumn) for a in told)
        return worst if alone else _REBUILT_WITH_INDEX
    return worst


def asks(action: Action) -> bool:
    """Return whether it is the statement's own ALGORITHM or LOCK, which changes nothing itself."""
    return isinstance(action, act.Other) and action.what.startswith(("ALGORITHM=", "LOCK="))


_KEY_DROPPED = "without its primary key the table is stored in another order"


def _makes_primary(action: Action) -> bool:
    return isinstance(action, act.AddConstraint) and action.constraint.kind is ConstraintKind.PRIMARY_KEY


def _drops_primary(action: Action) -> bool:
    return isinstance(action, act.DropConstraint) and action.name == "PRIMARY"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """What a way rests on beside the action: the server, the schema before, and whether foreign keys are checked."""

    major: int
    before: Replayed
    checks_keys: bool

    def lighter(self, *, on_mariadb: Way, on_mysql: Way) -> Way:
        """Return the one of the server."""
        return on_mariadb if is_mariadb(self.major) else on_mysql


def _of(action: Action, ground: _Ground) -> Way | None:
    found: Way | None = None
    match action:
        case act.AddColumn():
            found = _add_column(action, ground)
        case act.DropColumn():
            found = _drop_column(action, ground)
        case act.RedefineColumn(table=table, column=column, new=new):
            found = _redefine(ground.before.column(table, column), new, ground.major)
        case act.RenameColumn():
            found = _renamed(ground.major)
        case act.AlterDefault() | act.RenameTable():
            found = _INSTANT
        case act.RenameIndex():
            found = ground.lighter(on_mariadb=_INSTANT, on_mysql=_INPLACE)
        case act.CreateIndex() | act.DropIndex():
            found = _index(action)
        case act.AddConstraint():
            found = _add_constraint(action, ground)
        case act.DropConstraint():
            copied = Way(algorithm=Algorithm.COPY, why=_KEY_DROPPED)
            found = copied if _drops_primary(action) else ground.lighter(on_mariadb=_INSTANT, on_mysql=_INPLACE)
        case act.Other(what=what):
            found = _other(what, ground)
    return found


def _renamed(major: int) -> Way:
    """Return how a column is renamed: instantly on MariaDB and since MySQL 8.0.28."""
    return _INPLACE if major < _ALL_INSTANT else _INSTANT


def _index(action: act.CreateIndex | act.DropIndex) -> Way:
    if isinstance(action, act.CreateIndex) and action.index.method:
        return Way(algorithm=Algorithm.SHARED, why="a FULLTEXT or SPATIAL index is built while nobody writes")
    return _INPLACE


def _add_column(action: act.AddColumn, ground: _Ground) -> Way:
    column = action.column
    kinds = {constraint.kind for constraint in action.constraints}
    if column.generated and column.stored:
        return Way(algorithm=Algorithm.COPY, why="the values of a STORED column are computed for every row")
    if ConstraintKind.FOREIGN_KEY in kinds and is_mariadb(
        ground.major
    ):  # MySQL ignores REFERENCES at a column before 9.0
        return Way(algorithm=Algorithm.COPY, why="the foreign key is checked for every row")
    if ConstraintKind.CHECK in kinds and not is_mariadb(ground.major):
        return Way(algorithm=Algorithm.COPY, why="the CHECK is tried on every row")  # https://bugs.mysql.com/117450
    if column.identity:
        return Way(algorithm=Algorithm.SHARED, why="every row gets a number while nobody writes")
    if column.volatile_default is True:
        return Way(algorithm=Algorithm.COPY, why="the default is computed for every row", certain=False)
    if kinds & {ConstraintKind.UNIQUE, ConstraintKind.PRIMARY_KEY}:
        return _REBUILT_WITH_INDEX
    return _INSTANT


_REBUILT_WITH_INDEX = Way(
    algorithm=Algorithm.REBUILD, why="a column that comes or goes together with an index is written into every row"
)


def _drop_column(action: act.DropColumn, ground: _Ground) -> Way:
    if ground.major < _ALL_INSTANT:
        return Way(algorithm=Algorithm.REBUILD, why="the rows are written without it")
    table = ground.before.table(action.table)
    if table is None:
        return Way(algorithm=Algorithm.INPLACE, certain=False)  # instant only where no index has the column
    keys = [*(index.columns for index in table.indexes), *(key.columns for key in table.constraints)]
    return _INPLACE if any(action.column in columns for columns in keys) else _INSTANT


def _add_constraint(action: act.AddConstraint, ground: _Ground) -> Way:
    match action.constraint.kind:
        case ConstraintKind.PRIMARY_KEY:
            return Way(algorithm=Algorithm.REBUILD, why="the rows are stored in the order of the primary key")
        case ConstraintKind.FOREIGN_KEY:
            if not ground.checks_keys:
                return _INPLACE
            return Way(algorithm=Algorithm.COPY, why="the foreign key is checked for every row")
        case ConstraintKind.CHECK:
            return Way(algorithm=Algorithm.COPY, why="the CHECK is tried on every row")
        case _:
            return _INPLACE


_INSTANT_OPTIONS = frozenset(
    {
        "COMMENT",
        "DEFAULT CHARACTER SET",
        "DEFAULT CHARSET",
        "DEFAULT COLLATE",
        "CHARACTER SET",
        "CHARSET",
        "COLLATE",
        "AUTO_INCREMENT",
        "ALTER INDEX",
        "ALTER KEY",
        "ALTER COLUMN",
        "STATS_PERSISTENT",
        "STATS_AUTO_RECALC",
        "STATS_SAMPLE_PAGES",
        "DROP PARTITION",
        "ADD PARTITION",
        "TRUNCATE PARTITION",
        "EXCHANGE PARTITION",
        "ENABLE KEYS",
        "DISABLE KEYS",
    }
)  # fmt: skip - a list of words
_REBUILDING_OPTIONS = frozenset({"FORCE", "ROW_FORMAT", "KEY_BLOCK_SIZE", "OPTIMIZE TABLE"})
_COPYING = {
    "CONVERT TO CHARACTER SET": "every text is written in the other character set",
    "PARTITION BY": "every row moves to its partition",
    "REMOVE PARTITIONING": "every row leaves its partition",
    "REORGANIZE PARTITION": "the rows of those partitions move",
    "COALESCE PARTITION": "the rows of the partitions move",
    "CONVERT PARTITION": "the rows of that partition move",
}


def _other(what: str, ground: _Ground) -> Way | None:
    if what in _INSTANT_OPTIONS:
        return ground.lighter(on_mariadb=_INSTANT, on_mysql=_INPLACE if "PARTITION" in what else _INSTANT)
    if what in _REBUILDING_OPTIONS:
        return Way(algorithm=Algorithm.REBUILD, why="every row is written anew")
    if what in _COPYING:
        return Way(algorithm=Algorithm.COPY, why=_COPYING[what])
    if what == "ENGINE":
        # The same engine again rebuilds in place, another one copies; which it was is not in the statement.
        return Way(algorithm=Algorithm.COPY, why="the rows move to that storage engine", certain=False)
    if what == "ALGORITHM=COPY":
        return Way(algorithm=Algorithm.COPY, why="the statement asks for it")
    if what in {"LOCK=SHARED", "LOCK=EXCLUSIVE"}:
        return Way(algorithm=Algorithm.SHARED, why="the statement asks for the lock")
    return None


def _redefine(old: ColumnSpec | None, new: ColumnSpec, major: int) -> Way:
    if old is None or old.type is UNKNOWN or new.type is UNKNOWN:
        return Way(algorithm=Algorithm.COPY, why="a change of the type copies the table", certain=False)
    if old.collation and new.collation and old.collation != new.collation:
        return Way(algorithm=Algorithm.COPY, why="every text is written in the other character set")
    changed = _retype(old.type, new.type, major)
    renamed = _renamed(major) if old.name != new.name else _INSTANT
    numbered = bool(new.identity) and not old.identity
    if changed.algorithm is Algorithm.COPY:
        return changed
    if numbered:
        return Way(algorithm=Algorithm.COPY, why="every row without a number gets one", certain=False)
    if old.nullable is not new.nullable:
        return Way(
            algorithm=Algorithm.REBUILD,
            why="whether a value may be NULL is part of how rows are stored",
            certain=not isinstance(old.nullable, Unknown),
        )
    return max(changed, renamed, key=lambda one: one.algorithm)


_TEXT = re.compile(r"(varchar|varbinary)\((\d+)\)")
_LISTED = re.compile(r"(enum|set)\((.*)\)")
_ONE_BYTE = 255
_BYTES_PER_CHARACTER = 4  # utf8mb4, which servers of today make tables in


def _retype(old: str, new: str, major: int) -> Way:
    """Return how a change from one type to another is carried out, as far as the types' names tell."""
    if old == new:
        return _INSTANT
    copied = Way(algorithm=Algorithm.COPY, why=f"values are converted from {old} to {new}")
    before, after = _TEXT.fullmatch(old), _TEXT.fullmatch(new)
    if before and after and before[1] == after[1]:
        return _lengthened(int(before[2]), int(after[2]), binary=before[1] == "varbinary", major=major) or copied
    listed, longer = _LISTED.fullmatch(old), _LISTED.fullmatch(new)
    if listed and longer and listed[1] == longer[1]:
        return _INSTANT if longer[2].startswith(listed[2] + ",") else copied
    return copied


def _lengthened(old: int, new: int, *, binary: bool, major: int) -> Way | None:
    """Return how a string is made longer, None where the table is copied: its length fits in one byte up to 255."""
    width = 1 if binary else _BYTES_PER_CHARACTER
    if new < old or (old * width <= _ONE_BYTE < new * width):
        return None
    return _INSTANT if is_mariadb(major) else _INPLACE
