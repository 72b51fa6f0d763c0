"""Stand-ins for modules that a revision imports and that cannot be imported here: an application not installed.

A stand-in has every name. What looks like a class (`TZDateTime`) is a column type, so that operations that use it can
be compiled, and a base of mapped classes; everything else is a value that can be called and asked for more. What is not
known of a value is noticed where the value is used.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, MutableSequence
from functools import cache, partial
from importlib import import_module
from importlib.machinery import PathFinder
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import sqlalchemy
from sqlalchemy import Column, ColumnElement, MetaData, Table, TableClause, column, table
from sqlalchemy.types import TypeEngine, UserDefinedType

from handrail.history.cell.noticing import notice, notice_call
from handrail.history.fencing.guard import Raised, call


class _Value:
    """What can be done with any value: it goes on, and it is noticed that the value is not known."""

    __slots__ = ()

    def __add__(self, other: object) -> Any:
        return other if isinstance(unknown(self), str) or isinstance(other, str) else self

    def __radd__(self, other: object) -> Any:
        unknown(self)
        return other if isinstance(other, str | list | tuple) else self

    def _compared(self, _other: object) -> bool:
        unknown(self)
        return False

    def _combined(self, _other: object = None) -> Any:
        unknown(self)
        return self

    __lt__ = __le__ = __gt__ = __ge__ = _compared
    __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = _combined
    __mod__ = __rmod__ = __pow__ = __or__ = __ror__ = __and__ = __rand__ = __neg__ = __invert__ = _combined

    def __eq__(self, other: object) -> bool:
        return self is other or (not isinstance(other, TypeEngine) and self._compared(other))

    __hash__ = object.__hash__

    def __int__(self) -> int:
        unknown(self)
        return 1

    __index__ = __int__

    def __float__(self) -> float:
        return float(int(self))

    def __len__(self) -> int:
        unknown(self)
        return 0

    def __iter__(self) -> Iterator[object]:
        unknown(self)
        return iter(())

    def __getitem__(self, _key: object) -> Any:
        return self

    def __setitem__(self, _key: object, _value: object) -> None:
        """Forget it."""

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_exc: object) -> None:
        return None


class StandInType(_Value, UserDefinedType[Any]):
    """A class of an application that is not here, most often a column type; its SQL is guessed from its name."""

    cache_ok = True
    is_clause_element = False

    def __init__(self, *arguments: object, **_options: object) -> None:
        """Take whatever the real one takes; what only stands for another object keeps the function that finds it."""
        name = type(self).__name__
        of_another = "Proxy" in name or "Lazy" in name
        self._found_by = next((a for a in arguments if of_another and isinstance(a, FunctionType)), None)

    def __call__(self, *arguments: object, **options: object) -> Any:
        """Return what the object that it stands for returns; a decorated function as it is."""
        if self._found_by is not None:
            found = self._found_by()
            return found(*arguments, **options) if callable(found) else found
        return arguments[0] if len(arguments) == 1 and isinstance(arguments[0], FunctionType) else self

    def __mro_entries__(self, _bases: tuple[object, ...]) -> tuple[type, ...]:
        return (self._found_by() if self._found_by is not None else type(self),)

    def __bool__(self) -> bool:
        return True

    def get_col_spec(self, **_options: object) -> str:
        """Return a type that a server knows."""
        return _column_type(type(self).__name__)

    def __str__(self) -> str:
        return ""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return _inside(type(self).__name__, name)


class StandIn(_Value, ModuleType, UserDefinedType[Any]):
    """A module, function or value that is not here; as a column type it is one guessed from its name."""

    __path__: MutableSequence[str] = []  # noqa: RUF012 - that of ModuleType; makes it a package
    cache_ok = True
    is_clause_element = False

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        inside = f"{self.__name__}.{name}"
        if self.__path__ and PathFinder.find_spec(inside, self.__path__):
            return import_module(inside)
        value = _inside(self.__name__, name)
        if isinstance(value, StandInClass):
            value.written_in = self.__dict__.get("__file__", "")
        setattr(self, name, value)
        return value

    def __call__(self, *arguments: object, **_options: object) -> Any:
        """Return a decorated function as it is, else this stand-in; what the real one does is not known."""
        name = last_name(self)
        if not (_looks_like_type(name) or (name in _LOGGING and "log" in self.__name__.lower())):
            notice_call(f"calls {self.__name__}, {_NOT_HERE}")
        return arguments[0] if len(arguments) == 1 and isinstance(arguments[0], FunctionType) else self

    def __mro_entries__(self, _bases: tuple[object, ...]) -> tuple[type, ...]:
        return (_class(last_name(self)),)

    def __bool__(self) -> bool:
        """Return False, which ends loops; that nobody knows is noticed."""
        unknown(self)
        return False

    def __clause_element__(self) -> ColumnElement[Any]:
        unknown(self)
        name, model = last_name(self), self.__dict__.get("_of")
        return column(name) if model is None else Table(_table_of(model), MetaData(), Column(name)).c[name]

    def adapt(self, cls: Any, **_options: object) -> Any:  # noqa: ARG002 - SQLAlchemy's signature
        """Return another one of the same name, as SQLAlchemy wants it for a dialect."""
        return StandIn(self.__name__)

    def copy(self, **_options: object) -> Any:
        """Return another one of the same name."""
        return StandIn(self.__name__)

    def get_col_spec(self, **_options: object) -> str:
        """Return a type that a server knows."""
        return _column_type(last_name(self))

    def __str__(self) -> str:
        unknown(self)
        return ""


class StandInClass(type):
    """The type of a class that is not here. One below it that names its table is a mapped class.

    `written_in` is the file that has the class, '' where there is none.
    """

    written_in = ""

    def __new__(cls, name: str, bases: tuple[type, ...], members: dict[str, Any], **_options: object) -> Any:
        """Return the class, made by SQLAlchemy's own declarative base where it is a mapped one."""
        if {"__tablename__", "__table__"} & members.keys():
            mapped = call(partial(_mapped, name, bases, members))
            if not isinstance(mapped, Raised):
                return mapped
        return super().__new__(cls, name, bases, members)

    def __init__(cls, name: str, bases: tuple[type, ...], members: dict[str, Any], **_options: object) -> None:
        """Take whatever options a class statement has."""
        super().__init__(name, bases, members)

    def __getattr__(cls, name: str) -> Any:
        if name == "__members__":
            notice(f"uses the members of {cls.__name__}, {_NOT_HERE}")
            return {}
        if name == "__table__":
            return cls.__clause_element__()
        if name == "__tablename__":
            notice(f"uses the table of {cls.__name__}, {_NOT_HERE}")
            return _table_of(cls)
        if name.startswith("_"):
            raise AttributeError(name)
        value = StandIn(f"{cls.__name__}.{name}")
        value.__dict__["_of"] = cls
        return value

    def __iter__(cls) -> Iterator[object]:
        notice(f"goes through {cls.__name__}, {_NOT_HERE}")
        return iter(())

    def __getitem__(cls, key: object) -> Any:
        return StandIn(f"{cls.__name__}.{key}")

    def __clause_element__(cls) -> TableClause:
        notice(f"uses the table of {cls.__name__}, {_NOT_HERE}")
        return table(_table_of(cls), column("id"))


_NOT_HERE = "which cannot be imported here"
_LOGGING = frozenset({"critical", "debug", "error", "exception", "info", "log", "warn", "warning"})
#: What applications call the object that has SQLAlchemy's own names, as Flask-SQLAlchemy's `db`.
_LIKE_SQLALCHEMY = frozenset({"db", "orm", "sa"})


def unknown(value: object) -> object:
    """Notice that a value is used; return it."""
    name = value.__name__ if isinstance(value, ModuleType) else type(value).__name__
    notice(f"uses the value of {name}, {_NOT_HERE}")
    return value


def last_name(value: object) -> str:
    """Return the last part of the name of a stand-in, or of its class."""
    name = value.__name__ if isinstance(value, ModuleType) else type(value).__name__
    return name.rpartition(".")[2]


def _table_of(model: StandInClass) -> str:
    """Return the table that a mapped class names in its file, which could not be run, else one guessed."""
    found = call(partial(_class_body, model.written_in, model.__name__))
    for node in () if isinstance(found, Raised) else found:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            names = {target.id for target in node.targets if isinstance(target, ast.Name)}
            if "__tablename__" in names and isinstance(node.value.value, str):
                return node.value.value
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", model.__name__).lower()


@cache
def _class_body(file: str, name: str) -> list[ast.stmt]:
    classes = (n for n in ast.parse(Path(file).read_bytes()).body if isinstance(n, ast.ClassDef) and n.name == name)
    return next((node.body for node in classes), [])


def _looks_like_type(name: str) -> bool:
    return name[:1].isupper()


def _column_type(name: str) -> str:
    name = name.lower()
    if "date" in name or "time" in name:
        return "TIMESTAMP"
    if "json" in name or "dict" in name:
        return "JSON"
    if "uuid" in name or "guid" in name:
        return "UUID"
    if "bool" in name:
        return "BOOLEAN"
    return "INTEGER" if "int" in name else "TEXT"


def _inside(owner: str, name: str) -> Any:
    """Return what stands for a name inside of something that is not here."""
    last = owner.rpartition(".")[2].lower()
    found = _sqlalchemys(name) if last in _LIKE_SQLALCHEMY or "sqla" in last else None
    inside = f"{owner}.{name}"
    if found is not None:
        return found
    if name == "metadata":
        return MetaData()
    if not _looks_like_type(name) or (name.isupper() and len(name) > 1):
        return StandIn(inside)  # a constant, a function, or a type in capitals
    if name.endswith(("Error", "Exception")):
        return type(name, (Exception,), {})
    if name.endswith("Mixin"):
        return type(name, (), {})  # goes with whatever other classes it is mixed into
    return _class(name)


def _class(name: str) -> type:
    made: type = StandInClass(name, (StandInType,), {"metadata": MetaData(), "cache_ok": True})
    return made


def _sqlalchemys(name: str) -> object:
    """Return what SQLAlchemy has under that name, None where it has nothing."""
    from sqlalchemy import orm  # noqa: PLC0415 - costs more than reading most histories does

    found = next((getattr(module, name) for module in (sqlalchemy, orm) if hasattr(module, name)), None)
    return None if isinstance(found, ModuleType) else found


def _mapped(name: str, bases: tuple[type, ...], members: dict[str, Any]) -> type:
    from sqlalchemy.orm import declarative_base  # noqa: PLC0415 - see above

    absent = next((base for base in bases if isinstance(base, StandInClass)), StandInType)
    base = _bases.setdefault(absent, declarative_base())
    real = (base, *(b for b in bases if not isinstance(b, StandInClass)))
    made: type = type(base)(name, real, members)
    return made


#: The declarative base in the place of one that is not here; a new one for each revision, whose tables are its own.
_bases: dict[type, Any] = {}


def forget() -> None:
    """Let the next revision define tables of its own, under whatever names."""
    _bases.clear()
