"""What a project's env.py says: it is run once, on a database that executes nothing, and what it configures is kept."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

from alembic import command
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory

from handrail.errors import ProjectUnreadable
from handrail.history.env.flask_app import find_app
from handrail.history.env.settling import Settling, for_session, parameters, settling
from handrail.history.fencing.fence import ConnectionAttempt, Fence, fence
from handrail.history.fencing.guard import Raised, call, caller
from handrail.history.fencing.nulldb import NullConnection
from handrail.history.fencing.surroundings import replaced
from handrail.history.fencing.wire import Sent
from handrail.history.files import graph as graphs
from handrail.history.files.project import Project, alembic_config
from handrail.host import secrets
from handrail.model.operation import Place
from handrail.model.session import NOTHING_SETTLED, SessionSettings

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

#: Arguments of configure() that only say what to connect to; ours come in their place.
_CONNECTING = frozenset({"connection", "url", "dialect_name", "dialect_opts"})
#: Arguments of a driver's connect() that do not change what a migration does, nor which server it trusts.
_HARMLESS_CONNECT_ARGS = frozenset(
    {
        "application_name",
        "charset",
        "check_same_thread",
        "client_encoding",
        "command_timeout",
        "connect_timeout",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "max_cached_statement_lifetime",
        "prepare_threshold",
        "prepared_statement_cache_size",
        "prepared_statement_name_func",
        "statement_cache_size",
        "tcp_user_timeout",
        "timeout",
    }
)
_HARMLESS_EXECUTION_OPTIONS = frozenset({"logging_token", "compiled_cache", "stream_results", "yield_per"})


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvPy:
    """What one run of env.py configured.

    `options` are the arguments of context.configure() as given, without what names a connection; `run_args` those of
    run_migrations(). `session` is what it settles on its connection, to be repeated on ours; `drives` says in one
    sentence each what else it does, without which a migration would do something else. `attempts` are the connections
    it and what it imports tried to open, `output` is what they printed.
    """

    options: Mapping[str, Any]
    run_args: Mapping[str, Any]
    target_metadata: object
    version_table: str
    version_table_schema: str | None
    session: SessionSettings
    drives: tuple[str, ...]
    configure_calls: int
    attempts: tuple[ConnectionAttempt, ...]
    output: str
    config: Config = field(repr=False)
    script: ScriptDirectory = field(repr=False)
    app: Any = field(default=None, repr=False)

    def entered(self) -> AbstractContextManager[object]:
        """The application context that env.py was written for; nothing where there is none."""
        return nullcontext() if self.app is None else self.app.app_context()


def capture(project: Project, *, url: str, graph: graphs.Graph | None = None) -> EnvPy:
    """Run the project's env.py behind the fence and return what it configures.

    `url` is the database that a migration would run on; it is offered in every place that an env.py reads one from,
    and never opened. Raises ProjectUnreadable, with file and line, where env.py raises, configures nothing, several
    databases, or only offline mode.
    """
    config = _config(project, url)
    script = ScriptDirectory(str(project.script_location), version_locations=list(map(str, project.version_locations)))
    script.revision_map = graphs.revision_map(graph if graph is not None else graphs.load(project))
    _prepend_sys_path(project)
    seen = _Seen()
    with fence(Fence.NULL) as fenced:
        fenced.listener = seen
        ran = call(lambda: _run(project, config, script, seen))
    calls = len(seen.configured)
    if isinstance(ran, Raised) and (seen.online or not calls):
        raise _raised(project, ran) from None
    if calls != 1 or seen.runs != 1 or not seen.online:
        _refuse(project, seen)
    options = seen.configured[0]
    return EnvPy(
        options=MappingProxyType({name: value for name, value in options.items() if name not in _CONNECTING}),
        run_args=MappingProxyType(seen.run_args),
        target_metadata=options.get("target_metadata"),
        version_table=options.get("version_table") or "alembic_version",
        version_table_schema=options.get("version_table_schema"),
        session=seen.session,
        drives=tuple(dict.fromkeys(seen.drives)),
        configure_calls=calls,
        attempts=fenced.attempts,
        output=secrets.mask(fenced.output),
        config=config,
        script=script,
        app=ran,
    )


def neutral(project: Project, graph: graphs.Graph) -> EnvPy:
    """Return what an env.py that only connects would configure; the project's own is not run."""
    script = ScriptDirectory(str(project.script_location), version_locations=list(map(str, project.version_locations)))
    script.revision_map = graphs.revision_map(graph)
    return EnvPy(
        options=MappingProxyType({}),
        run_args=MappingProxyType({}),
        target_metadata=None,
        version_table="alembic_version",
        version_table_schema=None,
        session=NOTHING_SETTLED,
        drives=(),
        configure_calls=0,
        attempts=(),
        output="",
        config=alembic_config(project),
        script=script,
    )


def _run(project: Project, config: Config, script: ScriptDirectory, seen: _Seen) -> object:
    source = project.env_py.read_bytes()
    app = find_app(project.root) if b"current_app" in source else None
    environment = EnvironmentContext(
        config, script, fn=lambda _heads, _context: [], as_sql=False, destination_rev="head", tag=None
    )
    configure = environment.configure

    def configured(connection: Connection | None = None, **options: Any) -> None:
        seen.configure(connection, options)
        configure(connection, **options)

    module = ModuleType("env_py")
    module.__file__ = str(project.env_py)
    code = compile(source, str(project.env_py), "exec", dont_inherit=True)  # else with our own __future__ imports
    with (
        replaced(environment, "configure", configured),
        replaced(environment, "run_migrations", seen.run),
        environment,
        nullcontext() if app is None else app.app_context(),
    ):
        exec(code, module.__dict__)  # noqa: S102 - what Alembic does too
    return app


#: What a connection's argument or statement is for us: a part of the session, or the reason why we cannot stand in.
_Noted = SessionSettings | str


class _Seen:
    """What env.py did; the tape of its connections."""

    def __init__(self) -> None:
        self.configured: list[dict[str, Any]] = []
        self.runs = 0
        self.run_args: dict[str, Any] = {}
        self._owner: object = None
        self._sent: list[tuple[object, _Noted]] = []
        self._found: list[str] = []

    @property
    def _told(self) -> list[_Noted]:
        """What was sent over the connections of the engine that was configured."""
        return [noted for owner, noted in self._sent if owner is self._owner]

    @property
    def drives(self) -> list[str]:
        """What env.py does beyond configuring and settling its session."""
        return self._found + [noted for noted in self._told if isinstance(noted, str)]

    @property
    def session(self) -> SessionSettings:
        """What it settles on its connection; said again on another connection it counts once."""
        told = [noted for noted in self._told if isinstance(noted, SessionSettings)]
        return SessionSettings(
            parameters=tuple(dict.fromkeys(pair for noted in told for pair in noted.parameters)),
            statements=tuple(dict.fromkeys(sql for noted in told for sql in noted.statements)),
            schemas=tuple(dict.fromkeys(sql for noted in told for sql in noted.schemas)),
        )

    @property
    def online(self) -> bool:
        """Whether a connection was ever configured."""
        return any(options["connection"] is not None for options in self.configured)

    def opened(self, connection: NullConnection, /) -> None:
        """Note a connection's own arguments."""
        for name, value in connection.connect_args.items():
            if name in _HARMLESS_CONNECT_ARGS:
                continue
            settings = parameters(name, value)
            known = None if settings is None else SessionSettings(parameters=settings)
            self._sent.append((connection.owner, known or f"it connects with connect_args {name}"))

    def look(self, _what: str, /) -> None:
        """Know no schema."""

    def sent(self, connection: NullConnection, sent: Sent, /) -> None:
        """Note a statement of env.py's own."""
        noted: _Noted | None = None
        match Settling.UNKNOWN if sent.literals else settling(sent.sql):
            case Settling.PASSED_OVER:
                return
            case Settling.REPEATED if self.runs:  # it tidies up after the migrations, on a connection of its own
                return
            case Settling.REPEATED:
                noted = SessionSettings(statements=(for_session(sent.sql),))
            case Settling.SCHEMA if not self.runs:
                noted = SessionSettings(schemas=(sent.sql,))
        if noted is None:
            where = _where(caller(sys._getframe(1)))  # noqa: SLF001 - the only way to see who calls
            noted = secrets.mask(f"it sends {' '.join(sent.sql.split())!r}{where}")
        self._sent.append((connection.owner, noted))

    def run(self, **arguments: Any) -> None:
        """Note one call of context.run_migrations(), and run none."""
        self.runs += 1
        self.run_args = arguments

    def configure(self, connection: Connection | None, options: dict[str, Any]) -> None:
        """Note one call of context.configure()."""
        self.configured.append({"connection": connection, **options})
        if connection is None:
            return
        self._owner = connection.dialect
        telling = {n: v for n, v in connection.get_execution_options().items() if n not in _HARMLESS_EXECUTION_OPTIONS}
        level = getattr(connection.dialect, "_on_connect_isolation_level", None)
        if level is not None:
            telling.setdefault("isolation_level", level)
        self._found += [f"it sets the execution option {name} = {value!r}" for name, value in telling.items()]


def _config(project: Project, url: str) -> Config:
    """Return Alembic's Config as its own command line would fill it for `alembic upgrade head`."""
    config = alembic_config(project)
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    config.attributes["sqlalchemy.url"] = url
    config.cmd_opts = argparse.Namespace(
        config=None if project.ini is None else [str(project.ini)],
        name=project.section,
        x=[f"url={url}"],
        raiseerr=True,
        quiet=True,
        cmd=(command.upgrade, ["revision"], ["sql", "tag"]),
        revision="head",
        sql=False,
        tag=None,
        autogenerate=False,
    )
    return config


def _prepend_sys_path(project: Project) -> None:
    """Make the project importable for as long as the process lives, as Alembic does."""
    for folder in reversed(project.prepend_sys_path):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))


def _raised(project: Project, raised: Raised) -> ProjectUnreadable:
    place = raised.place or Place(file=str(project.env_py), line=1)
    return ProjectUnreadable(
        what="env.py cannot be run; nothing was touched",
        why=f"{place.file}:{place.line}: {raised.summary}",
        fix="correct it until `alembic current` works in the same shell, with the variables it needs set",
    )


def _refuse(project: Project, seen: _Seen) -> NoReturn:
    calls = len(seen.configured)
    if calls > 1 or seen.runs > 1:
        raise ProjectUnreadable(
            what="an env.py for several databases or schemas is not supported yet; nothing was touched",
            why=f"{project.env_py} calls context.configure() {calls} times and run_migrations() {seen.runs} times",
            fix="let env.py read one database from the environment, and declare one environment for each of them",
        )
    why = "it never calls context.configure()"
    if calls and not seen.online:
        why = "it only knows offline mode: it calls context.configure() without a connection"
    elif calls:
        why = "it never calls context.run_migrations()"
    raise ProjectUnreadable(
        what="env.py runs no migrations; nothing was touched",
        why=f"{project.env_py}: {why}",
        fix="compare it with the one that `alembic init` writes",
    )


def _where(place: Place | None) -> str:
    return f" ({Path(place.file).name}:{place.line})" if place else ""
