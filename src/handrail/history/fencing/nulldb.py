"""A database that executes nothing: SQLAlchemy's real dialects on a driver that is not there.

Statements compile exactly as the project's own driver would have them, since the null dialect is a subclass of the
real one; `dialect.name` and `dialect.driver` stay, so that every `if` of a migration takes its real path. Results are
empty, no row is ever counted. What is sent is told to a Tape.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, cast

from sqlalchemy import Integer
from sqlalchemy.util import await_only

from handrail.history.fencing.reflection import Reflecting
from handrail.history.fencing.wire import Sent

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection
    from sqlalchemy.engine.default import DefaultDialect

    from handrail.model.replayed import Replayed

#: The newest server each dialect is asked to write for, where the caller does not name one.
NEWEST = {"postgresql": 18, "sqlite": 3, "mysql": 8, "mariadb": 11}
_ORDINARY_ISOLATION = {"sqlite": "SERIALIZABLE", "mysql": "REPEATABLE READ", "mariadb": "REPEATABLE READ"}
#: A query over all rows, which has one row for an answer where there are none.
_OVER_ALL = re.compile(
    r"\s*select\s+(?P<function>count|exists|not\s+exists|max|min|sum|avg|coalesce\s*\(\s*max)\b(?!.*\bgroup\s+by\b)",
    re.IGNORECASE | re.DOTALL,
)
_ANSWERS = ("select", "with", "show", "pragma", "values", "explain", "table", "desc")


class Tape(Protocol):
    """Hears of every null connection and of every statement sent over one."""

    def opened(self, connection: NullConnection, /) -> None:
        """Note that a connection was handed out."""

    def sent(self, connection: NullConnection, sent: Sent, /) -> None:
        """Note the statement; what it raises reaches the code that sent it."""

    def look(self, what: str, /) -> Replayed | None:
        """Return the schema for code that looks at `what`, a table's name or '', None where none is known."""


class _Silence:
    """A tape for what SQLAlchemy itself asks of a new connection."""

    def opened(self, connection: NullConnection, /) -> None:
        """Pass over it."""

    def sent(self, connection: NullConnection, sent: Sent, /) -> None:
        """Pass over it."""

    def look(self, _what: str, /) -> None:
        """Know none."""


class _Nowhere:
    """What leads nowhere: it can be entered and closed, and what a driver's own has beyond the DBAPI does nothing."""

    def close(self) -> None:
        """Close nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        return None

    def __getattr__(self, name: str) -> Any:
        return _nothing(name)


class NullCursor(_Nowhere):
    """A cursor whose results are those of empty tables; the ORM gets keys for new rows, or it would not go on."""

    rowcount = 0
    lastrowid = 1
    arraysize = 1

    def __init__(self, connection: NullConnection) -> None:
        self.connection = connection
        self.description: list[tuple[object, ...]] | None = None
        self.rows: list[tuple[object, ...]] = []

    def execute(self, statement: object, parameters: object = (), **_options: object) -> NullCursor:
        """Tell the tape of a statement that went past SQLAlchemy."""
        self._raw(statement, [parameters] if parameters else [])
        return self

    def executemany(self, statement: object, parameters: Sequence[object] = (), **_options: object) -> NullCursor:
        """Tell the tape of a statement that went past SQLAlchemy."""
        self._raw(statement, list(parameters))
        return self

    def _raw(self, statement: object, parameters: Sequence[object]) -> None:
        text = statement.decode(errors="replace") if isinstance(statement, bytes) else str(statement)
        self.describe(text, ())
        self.connection.send(text, parameters, escaped=bool(parameters), raw=True)

    def describe(self, statement: str, names: Sequence[str]) -> None:
        """Describe the columns of the empty result, where the statement is one that answers."""
        head = statement.lstrip(" \t\r\n(").lower()
        if not names and (head.startswith(_ANSWERS) or " returning " in head):
            names = ("column",)
        self.description = [(name, None, None, None, None, None, None) for name in names] or None
        self.rows = [] if (known := _OVER_ALL.match(statement)) is None else [_over_nothing(known, len(names))]

    def fetchone(self) -> tuple[object, ...] | None:
        """Return the next row, mostly none."""
        return self.rows.pop(0) if self.rows else None

    def fetchall(self) -> list[tuple[object, ...]]:
        """Return the rows, mostly none."""
        rows, self.rows = self.rows, []
        return rows

    def fetchmany(self, size: int | None = None) -> list[tuple[object, ...]]:  # noqa: ARG002 - DBAPI's signature
        """Return the rows, mostly none."""
        return self.fetchall()

    def __iter__(self) -> Iterator[tuple[object, ...]]:
        return iter(self.fetchall())


class NullConnection(_Nowhere):
    """A DBAPI connection to nowhere. What a driver's connection has beyond the DBAPI does nothing and returns None."""

    isolation_level: object = ""  # the sqlite3 driver's own attribute
    closed = False

    def __init__(
        self,
        tape: Tape,
        *,
        paramstyle: str = "pyformat",
        owner: object = None,
        connect_args: Mapping[str, object] | None = None,
    ) -> None:
        self.tape = tape
        self.paramstyle = paramstyle
        self.owner = owner
        self.connect_args = connect_args or {}
        self.autocommit = False
        tape.opened(self)

    def send(self, statement: str, parameters: Sequence[object], *, escaped: bool = True, raw: bool = False) -> None:
        """Tell the tape."""
        sent = Sent(
            statement=statement,
            parameters=parameters,
            paramstyle=self.paramstyle,
            autocommit=self.autocommit,
            escaped=escaped,
            raw=raw,
        )
        self.tape.sent(self, sent)

    def cursor(self, *_args: object, **_options: object) -> NullCursor:
        """Return a cursor over nothing."""
        return NullCursor(self)

    def execute(self, statement: object, parameters: object = (), **_options: object) -> NullCursor:
        """Execute nothing, as psycopg's and sqlite3's connections do."""
        return NullCursor(self).execute(statement, parameters)

    def commit(self) -> None:
        """Commit nothing."""

    def rollback(self) -> None:
        """Roll back nothing."""


class NullDBAPI:
    """The module a dialect takes for its driver."""

    apilevel = "2.0"
    threadsafety = 1
    Binary = bytes

    class Error(Exception):
        """Never raised; SQLAlchemy asks for the family."""

    class InterfaceError(Error):
        """Never raised."""

    class DatabaseError(Error):
        """Never raised."""

    OperationalError = ProgrammingError = IntegrityError = DataError = InternalError = NotSupportedError = DatabaseError

    def __init__(self, paramstyle: str) -> None:
        self.paramstyle = paramstyle


class NullDialect(Reflecting):
    """The methods of a real dialect that would touch a driver; mixed in before it by `null_dialect`."""

    real: ClassVar[type[DefaultDialect]]
    tape: ClassVar[Tape]
    server_major: ClassVar[int | None]
    supports_statement_cache = True
    supports_sane_rowcount = False
    supports_sane_multi_rowcount = False

    if TYPE_CHECKING:
        name: str
        paramstyle: str
        is_async: bool
        dbapi: object
        default_schema_name: str | None

    def __init__(self, **kwargs: Any) -> None:
        # Without a driver module the real constructor reads neither versions nor adapters of one.
        super().__init__(**{**kwargs, "dbapi": None})
        self.dbapi = NullDBAPI(self.paramstyle)

    @classmethod
    def import_dbapi(cls) -> NullDBAPI:
        """Import nothing."""
        return NullDBAPI("pyformat")

    @classmethod
    def get_dialect_cls(cls, url: URL) -> type[DefaultDialect]:
        """Return the null form of what the real dialect chooses for the URL."""
        return null_dialect(_chosen(cls.real.get_dialect_cls(url)), tape=cls.tape, server_major=cls.server_major)

    @classmethod
    def get_async_dialect_cls(cls, url: URL) -> type[DefaultDialect]:
        """Return the null form of what the real dialect chooses for create_async_engine."""
        return null_dialect(_chosen(cls.real.get_async_dialect_cls(url)), tape=cls.tape, server_major=cls.server_major)

    def create_connect_args(self, url: URL) -> tuple[Sequence[object], Mapping[str, Any]]:
        """Return what the URL says, and keep it, so that `connect` can tell it from the project's connect_args."""
        args, options = super().create_connect_args(url)  # type: ignore[misc]  # the next class is a real dialect
        self._said_by_url = dict(options)
        return args, options

    def connect(self, *_args: object, **options: object) -> NullConnection:
        """Connect nowhere, and keep the project's connect_args."""
        said = getattr(self, "_said_by_url", {})
        added = {n: value for n, value in sorted(options.items()) if n not in said or value != said[n]}
        return NullConnection(self.tape, paramstyle=self.paramstyle, owner=self, connect_args=added)

    def initialize(self, connection: Connection) -> None:
        """Let the real dialect draw its conclusions from the server's version, without telling the tape."""
        dbapi_connection = cast("NullConnection", connection.connection.dbapi_connection)
        dbapi_connection.tape = _Silence()
        try:
            super().initialize(connection)  # type: ignore[misc]  # the next class is a real dialect
        finally:
            dbapi_connection.tape = self.tape

    def on_connect(self) -> None:
        """Set up no codecs, adapters or functions."""

    def _get_server_version_info(self, _connection: object) -> tuple[int, ...]:
        newest = NEWEST.get(self.name, 1)
        if self.name == "sqlite":
            return (3, 53, 0)
        return (self.server_major or newest, 0)

    def _get_default_schema_name(self, _connection: object) -> str | None:
        return {"postgresql": "public", "sqlite": "main"}.get(self.name, self.name)

    def _type_info_fetch(self, _connection: object, _name: object) -> None:
        """Find no hstore (psycopg)."""

    def _hstore_oids(self, _connection: object) -> None:
        """Find no hstore (psycopg2)."""

    def _warn_for_known_db_issues(self) -> None:
        """Know of no issues (MariaDB)."""

    def get_driver_connection(self, connection: object) -> object:
        """Return the null connection itself."""
        return connection

    def do_ping(self, _connection: object) -> bool:
        """Say that it is there."""
        return True

    def get_isolation_level(self, connection: NullConnection) -> str:
        """Return the engine's ordinary level, or AUTOCOMMIT once that was set."""
        return "AUTOCOMMIT" if connection.autocommit else _ORDINARY_ISOLATION.get(self.name, "READ COMMITTED")

    def set_isolation_level(self, connection: NullConnection, level: str) -> None:
        """Remember whether it is AUTOCOMMIT."""
        connection.autocommit = level == "AUTOCOMMIT"

    def get_isolation_level_values(self, _connection: object) -> list[str]:
        """Return every level any driver knows."""
        return ["AUTOCOMMIT", "READ COMMITTED", "READ UNCOMMITTED", "REPEATABLE READ", "SERIALIZABLE"]

    def detect_autocommit_setting(self, connection: NullConnection) -> bool:
        """Return whether AUTOCOMMIT was set."""
        return connection.autocommit

    def do_execute(self, cursor: NullCursor, statement: str, parameters: object, context: Any = None) -> None:
        """Send one statement."""
        self._send(cursor, statement, [parameters] if parameters else [], context)

    def do_executemany(
        self, cursor: NullCursor, statement: str, parameters: Sequence[object], context: Any = None
    ) -> None:
        """Send one statement with many sets of values."""
        self._send(cursor, statement, list(parameters), context)

    def do_execute_no_params(self, cursor: NullCursor, statement: str, context: Any = None) -> None:
        """Send one statement in which the driver reads no sign of its own."""
        self._send(cursor, statement, [], context, escaped=False)

    def _send(
        self, cursor: NullCursor, statement: str, parameters: Sequence[object], context: Any, *, escaped: bool = True
    ) -> None:
        if self.is_async:
            await_only(_no_wait())  # SQLAlchemy refuses an async call that never waited
        compiled = getattr(context, "compiled", None)
        cursor.describe(statement, [column.keyname for column in getattr(compiled, "_result_columns", None) or ()])
        if getattr(context, "isinsert", False) and cursor.description:
            cursor.rows = list(_new_keys(context))
        cursor.connection.send(statement, parameters, escaped=escaped)


def null_dialect(real: type[DefaultDialect], *, tape: Tape, server_major: int | None = None) -> type[DefaultDialect]:
    """Return a subclass of a real dialect that connects nowhere and tells `tape` what it would have sent.

    `server_major` is the server the SQL is written for; None means the newest. A null dialect is returned as it is.
    """
    if NullDialect in real.__mro__:
        return real
    members: Mapping[str, object] = {
        "real": real,
        "tape": tape,
        "server_major": server_major,
        "supports_statement_cache": True,  # SQLAlchemy looks for these two in the class itself
        "import_dbapi": NullDialect.__dict__["import_dbapi"],
        "__module__": real.__module__,
    }
    return cast("type[DefaultDialect]", type(f"Null{real.__name__}", (NullDialect, real), dict(members)))


def _over_nothing(query: re.Match[str], columns: int) -> tuple[object, ...]:
    function = query["function"].lower()
    first = {"count": 0, "exists": False}.get(function, True if function.startswith("not") else None)
    return (first, *(None for _ in range(columns - 1)))


def _new_keys(context: Any) -> Iterator[tuple[object, ...]]:
    """Yield what an INSERT of the ORM is told of each new row: whole numbers for keys that are, else nothing."""
    columns = getattr(context.compiled, "_result_columns", None) or ()
    whole = [getattr(column.type, "_type_affinity", None) is Integer for column in columns]
    for number, _ in enumerate(context.compiled_parameters, start=1):
        yield tuple(number if one else None for one in whole)


def _chosen(dialect: object) -> type[DefaultDialect]:
    return cast("type[DefaultDialect]", dialect)


def _nothing(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)

    def nothing(*_args: object, **_options: object) -> None:
        return None

    return nothing


async def _no_wait() -> None:
    return None
