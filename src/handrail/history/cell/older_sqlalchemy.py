"""Idioms of SQLAlchemy 1.x, understood while a revision is only read.

Old histories are full of them, and a project may still run on 1.4: what SQLAlchemy 2 would refuse is read as 1.x would
have done it, and noticed. Source: https://docs.sqlalchemy.org/en/20/changelog/migration_20.html.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, Engine, MetaData, Table, text
from sqlalchemy.sql import coercions, expression, selectable

from handrail.history.cell.noticing import notice

_CLAUSES = ("whereclause", "from_obj", "group_by", "having", "order_by", "limit", "offset", "distinct")


def understand() -> None:
    """Understand them from now on, as long as the process lives."""
    select, case = _select(sqlalchemy.select), _case(sqlalchemy.case)
    for module in (sqlalchemy, sqlalchemy.sql, expression):
        for name, function in (("select", select), ("case", case)):
            setattr(module, name, function)
    for name in ("execute", "scalar", "scalars"):
        setattr(Connection, name, _with_strings(getattr(Connection, name)))
    statement = coercions.StatementImpl
    statement._post_coercion = _with_queries(statement._post_coercion)  # type: ignore[method-assign]  # noqa: SLF001 - the one place
    statement._text_coercion = _text  # type: ignore[method-assign]  # noqa: SLF001 - Session.execute comes by here
    MetaData.__init__ = _with_bind(MetaData.__init__)  # type: ignore[method-assign]  # the one place
    Table._new = classmethod(_with_autoload(Table.__dict__["_new"].__func__))  # type: ignore[assignment, method-assign]  # noqa: SLF001 - where its arguments are read
    for kind, name in (
        (selectable.TableClause, "update"),
        (selectable.TableClause, "delete"),
        (selectable.FromClause, "select"),
    ):
        setattr(kind, name, _with_where(getattr(kind, name)))


def _old(idiom: str) -> None:
    notice(f"is written for SQLAlchemy 1.x: {idiom}")


def _text(_self: object, element: str, _argname: str | None = None) -> Any:
    _old("it executes a plain string")
    return text(element)


def _with_queries(coerce: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(coerce)
    def coerced(self: object, resolved: Any, *, original_element: Any, **options: Any) -> Any:
        if type(original_element).__name__ == "Query":
            _old("it executes a Query")
            return resolved
        return coerce(self, resolved, original_element=original_element, **options)

    return coerced


def _with_strings(execute: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(execute)
    def executed(self: Connection, statement: Any, *parameters: Any, **options: Any) -> Any:
        if isinstance(statement, str) and execute.__name__ == "execute":
            _old("it executes a plain string")
            values = options or (parameters[0] if len(parameters) == 1 else parameters)
            return self.exec_driver_sql(statement, values or None)
        if isinstance(statement, str):
            statement = _text(None, statement)
        extra = {name: value for name, value in options.items() if name not in {"parameters", "execution_options"}}
        if extra or len(parameters) > 1:
            _old("it executes with several sets of parameters, or with named ones")
            kept = {name: value for name, value in options.items() if name not in extra}
            return execute(self, statement, extra or list(parameters), **kept)
        return execute(self, statement, *parameters, **options)

    return executed


def _select(real: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(real)
    def select(*columns: Any, **clauses: Any) -> Any:
        if not clauses and not (columns and isinstance(columns[0], list | tuple)):
            return real(*columns)
        _old("select([...])")
        listed = columns[0] if columns else clauses.pop("columns", ())
        made = real(*(listed if isinstance(listed, list | tuple) else columns))
        positional = zip(_CLAUSES, columns[1:], strict=False) if isinstance(listed, list | tuple) else ()
        for name, value in {**dict(positional), **clauses}.items():
            made = _clause(made, name, value)
        return made

    return select


def _clause(made: Any, name: str, value: Any) -> Any:
    if value is None or value is False:
        return made
    method = {"whereclause": "where", "from_obj": "select_from"}.get(name, name)
    if method == "distinct":
        return made.distinct()
    return getattr(made, method)(*(value if isinstance(value, list | tuple) else (value,)))


def _case(real: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(real)
    def case(*whens: Any, **options: Any) -> Any:
        if "whens" in options:
            whens = (options.pop("whens"),)
        if whens and isinstance(whens[0], list):
            _old("case([...])")
            whens = tuple(whens[0])
        return real(*whens, **options)

    return case


def _with_bind(real: Callable[..., None]) -> Callable[..., None]:
    @wraps(real)
    def made(self: MetaData, *arguments: Any, **options: Any) -> None:
        bound = options.pop("bind", None)
        if arguments and isinstance(arguments[0], Connection | Engine):
            bound, *rest = arguments
            arguments = tuple(rest)
        if bound is not None:
            _old("MetaData(bind=...)")
        real(self, *arguments, **options)
        self.__dict__["bind"] = bound

    return made


def _with_autoload(real: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(real)
    def made(cls: type[Table], *arguments: Any, **options: Any) -> Any:
        if options.pop("autoload", None):
            _old("Table(autoload=True)")
            options.setdefault("autoload_with", getattr(arguments[1], "bind", None))
        return real(cls, *arguments, **options)

    return made


def _with_where(real: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(real)
    def made(self: Any, whereclause: Any = None, **values: Any) -> Any:
        if whereclause is None and not values:
            return real(self)
        _old(f"table.{real.__name__}(condition)")
        statement = real(self) if whereclause is None else real(self).where(whereclause)
        given = values.pop("values", values)
        return statement.values(given) if given else statement

    return made
