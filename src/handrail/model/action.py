"""What a SQL statement does to schema and rows, read from its text by the engine whose dialect it is.

Every operation of Alembic becomes SQL, and so does what a migration sends by itself: rules that match on actions see
`op.add_column()`, `op.execute("ALTER TABLE ...")` and a helper's loop alike. Names of tables are as the statement
writes them, schema-qualified where it names a schema.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from handrail.model.spec import ColumnSpec, ConstraintSpec, IndexSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTable:
    """CREATE TABLE. `from_query` marks CREATE TABLE AS, whose columns are not known; `like` a table it copies.

    `partition_by` are the columns, and as their SQL the expressions, that say into which partition a row goes.
    """

    table: str
    columns: tuple[ColumnSpec, ...] = ()
    constraints: tuple[ConstraintSpec, ...] = ()
    indexes: tuple[IndexSpec, ...] = ()
    if_not_exists: bool = False
    temporary: bool = False
    from_query: bool = False
    like: str = ""
    partition_of: str = ""
    partition_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DropTable:
    """DROP TABLE."""

    table: str
    cascade: bool = False
    if_exists: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RenameTable:
    """ALTER TABLE ... RENAME TO. `new_name` has the schema of the old one."""

    table: str
    new_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddColumn:
    """ALTER TABLE ... ADD COLUMN. Constraints that stand at the column are `constraints`."""

    table: str
    column: ColumnSpec
    constraints: tuple[ConstraintSpec, ...] = ()
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DropColumn:
    """ALTER TABLE ... DROP COLUMN."""

    table: str
    column: str
    cascade: bool = False
    if_exists: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RenameColumn:
    """ALTER TABLE ... RENAME COLUMN."""

    table: str
    column: str
    new_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterType:
    """ALTER COLUMN ... TYPE. `using` is the SQL of the conversion, '' where the server's own cast is to do."""

    table: str
    column: str
    type: str
    using: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterNullable:
    """ALTER COLUMN ... SET NOT NULL (`nullable` False) or DROP NOT NULL."""

    table: str
    column: str
    nullable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterDefault:
    """ALTER COLUMN ... SET DEFAULT, or DROP DEFAULT (`default` None)."""

    table: str
    column: str
    default: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RedefineColumn:
    """MODIFY or CHANGE of MySQL: the column is stated anew, and what is not stated is lost."""

    table: str
    column: str
    new: ColumnSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class AddConstraint:
    """ALTER TABLE ... ADD CONSTRAINT."""

    table: str
    constraint: ConstraintSpec
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DropConstraint:
    """ALTER TABLE ... DROP CONSTRAINT."""

    table: str
    name: str
    cascade: bool = False
    if_exists: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RenameConstraint:
    """ALTER TABLE ... RENAME CONSTRAINT."""

    table: str
    name: str
    new_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidateConstraint:
    """ALTER TABLE ... VALIDATE CONSTRAINT."""

    table: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateIndex:
    """CREATE INDEX. `only` is ON ONLY: of a partitioned table without its partitions."""

    table: str
    index: IndexSpec
    concurrently: bool = False
    only: bool = False
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DropIndex:
    """DROP INDEX. `table` is '' where the statement does not name it; see Replayed.table_of_index."""

    name: str
    table: str = ""
    concurrently: bool = False
    if_exists: bool = False
    cascade: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RenameIndex:
    """ALTER INDEX ... RENAME. `table` is '' where the statement does not name it."""

    name: str
    new_name: str
    table: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reindex:
    """REINDEX of an index, table, schema or database."""

    kind: str
    name: str
    concurrently: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateEnum:
    """CREATE TYPE ... AS ENUM."""

    name: str
    values: tuple[str, ...]
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AddEnumValue:
    """ALTER TYPE ... ADD VALUE."""

    name: str
    value: str
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RenameEnumValue:
    """ALTER TYPE ... RENAME VALUE."""

    name: str
    value: str
    new_value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateObject:
    """Anything else that is made: `kind` is `view`, `materialized view`, `trigger`, `function`, `schema`, `type` ...

    `table` is the one of a trigger, and with `column` the one that a sequence is owned by: '' where it belongs to none.
    `reads` are the tables that a view's query names, `definition` the words of that query or of a function's body.
    `columns` are those a view shows, () where not known. `handed_on` are those it takes from its one table as they are,
    as (shown, read), `*` for all, () where its query does anything else, such as to filter, join or compute.
    """

    kind: str
    name: str
    table: str = ""
    column: str = ""
    replaces: bool = False
    reads: tuple[str, ...] = ()
    definition: str = ""
    columns: tuple[str, ...] = ()
    handed_on: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DropObject:
    """Anything else that is dropped; `kind` as in CreateObject, `type` for an enum too."""

    kind: str
    name: str
    table: str = ""
    cascade: bool = False
    if_exists: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RenameObject:
    """Anything else that gets another name."""

    kind: str
    name: str
    new_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSequence:
    """ALTER SEQUENCE ... OWNED BY: the sequence goes with that column. `table` and `column` are '' for NONE."""

    sequence: str
    table: str = ""
    column: str = ""


class Verb(Enum):
    """How rows are written."""

    INSERT = "INSERT"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    TRUNCATE = "TRUNCATE"
    MERGE = "MERGE"


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteRows:
    """INSERT, UPDATE, DELETE, MERGE or TRUNCATE of one table.

    `where` is the condition as SQL, `columns` are those it sets: '' and () for none. `reads` are other tables it takes
    from, `cascade` belongs to TRUNCATE, `touch` is an UPDATE that leaves values as they are, for a trigger to see.
    """

    verb: Verb
    table: str
    where: str = ""
    columns: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    cascade: bool = False
    touch: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LockTable:
    """LOCK TABLE. `mode` is the server's name for it, e.g. ACCESS EXCLUSIVE."""

    table: str
    mode: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionControl:
    """BEGIN, COMMIT, ROLLBACK or SAVEPOINT that the revision sends by itself; `word` is the first of them."""

    word: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSetting:
    """SET of a setting of the session, e.g. lock_timeout."""

    name: str
    value: str
    local: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """Anything understood that has no class of its own here.

    `what` is the statement's name in upper case (`VACUUM FULL`, `CLUSTER`, `ATTACH PARTITION`, `CREATE EXTENSION`),
    `table` the one, or the sequence, that it names, '' for none.
    """

    what: str
    table: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opaque:
    """What could not be read: SQL made at run time, a call. `anything`: not one routine, but any statement."""

    reason: str
    anything: bool = False


OnTables = CreateTable | DropTable | RenameTable
OnColumns = AddColumn | DropColumn | RenameColumn | AlterType | AlterNullable | AlterDefault | RedefineColumn
OnConstraints = AddConstraint | DropConstraint | RenameConstraint | ValidateConstraint
OnIndexes = CreateIndex | DropIndex | RenameIndex | Reindex
OnTypes = CreateEnum | AddEnumValue | RenameEnumValue | CreateObject | DropObject | RenameObject | OwnSequence
OnOthers = WriteRows | LockTable | TransactionControl | SetSetting | Other | Opaque
Action = OnTables | OnColumns | OnConstraints | OnIndexes | OnTypes | OnOthers
