"""What a statement does to schema and rows, read from its words."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from handrail.engines.mysql.sql.actions_alter import altered, asking
from handrail.engines.mysql.sql.definition import definitions
from handrail.engines.mysql.sql.syntax import Words, canonical, columns, name, parts, tokens
from handrail.engines.plain_view import handed_on
from handrail.model import action as act
from handrail.model.action import Action
from handrail.model.spec import IndexSpec

#: Their bodies are statements of their own; what is in them happens later, when they are called.
_WITH_BODY = frozenset({"TRIGGER", "PROCEDURE", "FUNCTION", "EVENT"})
_OBJECTS = frozenset({"VIEW", *_WITH_BODY, "DATABASE", "SCHEMA", "SEQUENCE", "USER", "ROLE", "SERVER"})


@lru_cache(maxsize=4096)  # asked again for effects and in the other direction
def actions(sql: str) -> tuple[Action, ...]:
    """Return every action of the statement in order; Opaque where it could not be read, or is more than one."""
    words = tokens(sql)
    while words and words[-1] == ";":
        words.pop()
    upper = {word.upper() for word in words[:8]}
    if ";" in words and not (words[0].upper() == "CREATE" and upper & _WITH_BODY):
        return (act.Opaque(reason="it is more than one statement, which the server refuses in one call"),)
    while words and words[0] == "(":
        words.pop(0)
    read = Words(words)
    reader = _READERS.get(read.word().upper()) if words else None
    if reader is None:
        return (act.Opaque(reason="it was not understood as MySQL's SQL"),)
    return reader(read)


def _nothing(_words: Words) -> tuple[Action, ...]:
    return ()


def _create(words: Words) -> tuple[Action, ...]:
    replaces = words.phrase("OR REPLACE")
    temporary = bool(words.take("TEMPORARY"))
    if words.take("TABLE"):
        return (_create_table(words, temporary=temporary),)
    method = words.take("UNIQUE", "FULLTEXT", "SPATIAL")
    if words.take("INDEX"):
        return _create_index(words, method)
    while words and words.peek() not in _OBJECTS:
        words.word()  # ALGORITHM, DEFINER, SQL SECURITY, AGGREGATE
    kind = words.take(*_OBJECTS).lower()
    if not kind:
        return (act.Opaque(reason="it creates something that is not understood"),)
    words.phrase("IF NOT EXISTS")
    made = words.name()
    rest = words.rest()
    table = _after(rest, "ON") if kind == "trigger" else ""
    reads = _tables_read(rest) if kind == "view" else ()
    return (
        act.CreateObject(
            kind="schema" if kind == "database" else kind,
            name=made,
            table=table,
            replaces=replaces,
            reads=reads,
            definition=canonical(rest),
            handed_on=handed_on(rest, name) if kind == "view" else (),
        ),
    )


def _create_table(words: Words, *, temporary: bool) -> Action:
    lenient = words.phrase("IF NOT EXISTS")
    table = words.name()
    if words.take("LIKE"):
        return act.CreateTable(table=table, like=words.name(), if_not_exists=lenient, temporary=temporary)
    group = words.group()
    if group[:1] and group[0].upper() == "LIKE":
        return act.CreateTable(table=table, like=name(group[1]), if_not_exists=lenient, temporary=temporary)
    found = definitions(group)
    rest = {word.upper() for word in words.rest()}
    return act.CreateTable(
        table=table,
        columns=tuple(one.column for one in found if one.column),
        constraints=tuple(constraint for one in found for constraint in one.constraints),
        indexes=tuple(index for one in found for index in one.indexes),
        if_not_exists=lenient,
        temporary=temporary,
        from_query=not rest.isdisjoint({"SELECT", "VALUES"}),
    )


def _create_index(words: Words, method: str) -> tuple[Action, ...]:
    lenient = words.phrase("IF NOT EXISTS")
    made = words.name()
    if words.take("USING"):
        words.word()
    words.take("ON")
    table = words.name()
    index = IndexSpec(
        name=made,
        columns=columns(words.group()),
        unique=method == "UNIQUE",
        method=method.lower() if method in {"FULLTEXT", "SPATIAL"} else "",
    )
    asked = asking(table, words)
    return (act.CreateIndex(table=table, index=index, if_not_exists=lenient), *asked)


def _drop(words: Words) -> tuple[Action, ...]:
    words.take("TEMPORARY")
    if words.take("TABLE", "TABLES"):
        lenient = words.phrase("IF EXISTS")
        named = (Words(part).name() for part in parts(words.rest()))
        # CASCADE does nothing: https://dev.mysql.com/doc/refman/8.0/en/drop-table.html
        return tuple(act.DropTable(table=table, if_exists=lenient) for table in named)
    if words.take("INDEX"):
        lenient = words.phrase("IF EXISTS")
        dropped = words.name()
        words.take("ON")
        table = words.name()
        if dropped.upper() == "PRIMARY":
            return (act.DropConstraint(table=table, name="PRIMARY"),)
        return (act.DropIndex(name=dropped, table=table, if_exists=lenient), *asking(table, words))
    if words.take("PREPARE"):
        return ()
    kind = words.take(*_OBJECTS).lower()
    if not kind:
        return (act.Opaque(reason="it drops something that is not understood"),)
    lenient = words.phrase("IF EXISTS")
    kind = "schema" if kind == "database" else kind
    return tuple(act.DropObject(kind=kind, name=Words(p).name(), if_exists=lenient) for p in parts(words.rest()))


def _alter(words: Words) -> tuple[Action, ...]:
    words.take("ONLINE")
    words.take("IGNORE")
    if words.take("TABLE"):
        return altered(words)
    while words and words.peek() not in _OBJECTS:
        words.word()
    kind = words.take(*_OBJECTS)
    return (act.Other(what=f"ALTER {kind}"),) if kind else (act.Opaque(reason="it alters what is not understood"),)


def _rename(words: Words) -> tuple[Action, ...]:
    if not words.take("TABLE", "TABLES"):
        return (act.Other(what="RENAME USER"),)
    words.phrase("IF EXISTS")
    found = []
    for part in parts(words.rest()):
        one = Words(part)
        old = one.name()
        one.upto("TO")
        one.take("TO")
        found.append(act.RenameTable(table=old, new_name=one.name()))
    return tuple(found)


def _truncate(words: Words) -> tuple[Action, ...]:
    words.take("TABLE")
    return (act.WriteRows(verb=act.Verb.TRUNCATE, table=words.name()),)


def _insert(words: Words) -> tuple[Action, ...]:
    while words.take("LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "IGNORE", "INTO"):
        pass
    table = words.name()
    listed: tuple[str, ...] = ()
    if words.peek() == "(" and words.peek(1) not in {"SELECT", "WITH"}:
        listed = columns(words.group())
    elif words.take("SET"):
        listed = _assigned(words.upto("ON", "RETURNING"))
    return (_written(act.Verb.INSERT, table, columns_=listed, rest=words.rest()),)


def _update(words: Words) -> tuple[Action, ...]:
    while words.take("LOW_PRIORITY", "IGNORE"):
        pass
    tables = words.upto("SET")
    words.take("SET")
    assigned = words.upto("WHERE", "ORDER", "LIMIT")
    where = words.upto("ORDER", "LIMIT", "RETURNING")[1:] if words.peek() == "WHERE" else ()
    table = Words(tables).name()
    others = _tables_read(("FROM", *tables, *assigned, *where))
    # With LIMIT only some rows are written, as with a condition.
    limit = words.upto("RETURNING") if words.peek() in {"ORDER", "LIMIT"} else ()
    return (
        act.WriteRows(
            verb=act.Verb.UPDATE,
            table=table,
            where=canonical((*where, *limit)),
            columns=_assigned(assigned),
            reads=tuple(other for other in others if other != table),
        ),
    )


def _delete(words: Words) -> tuple[Action, ...]:
    while words.take("LOW_PRIORITY", "QUICK", "IGNORE"):
        pass
    named = words.upto("FROM", "WHERE")
    words.take("FROM")
    table = Words(named).name() if named else words.name()
    read = words.upto("WHERE", "ORDER", "LIMIT", "RETURNING")
    table = _meant(table, read) if named else table
    where = words.upto("RETURNING")
    text = where[1:] if where[:1] and where[0].upper() == "WHERE" else where
    others = _tables_read(("FROM", *read, *where))
    return (
        act.WriteRows(
            verb=act.Verb.DELETE,
            table=table,
            # A join leaves rows out as a condition does.
            where=canonical(text) or canonical(read[1:]),
            reads=tuple(other for other in others if other != table),
        ),
    )


def _load(words: Words) -> tuple[Action, ...]:
    words.upto("INTO")
    words.phrase("INTO TABLE")
    return (act.WriteRows(verb=act.Verb.INSERT, table=words.name()),)


def _with(words: Words) -> tuple[Action, ...]:
    words.upto("SELECT", "UPDATE", "DELETE", "INSERT", "VALUES", "TABLE")
    return _READERS[words.word().upper()](words) if words else ()


def _written(verb: act.Verb, table: str, *, columns_: tuple[str, ...], rest: tuple[str, ...]) -> Action:
    reads = tuple(other for other in _tables_read(rest) if other != table)
    return act.WriteRows(verb=verb, table=table, columns=columns_, reads=reads)


def _assigned(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns before `=`, without the table before them."""
    found = []
    for part in parts(words):
        target = Words(Words(part).upto("=", ":="))
        found.append(target.name().rpartition(".")[2])
    return tuple(found)


def _tables_read(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names after FROM and JOIN."""
    upper = [word.upper() for word in words]
    starts = (at + 1 for at, word in enumerate(upper[:-1]) if word in {"FROM", "JOIN"} and upper[at + 1] != "(")
    return tuple(dict.fromkeys(Words(words[at:]).name() for at in starts))


def _meant(alias: str, read: tuple[str, ...]) -> str:
    """Return the table that an alias of FROM stands for, the alias itself where it is a table's name."""
    upper = [word.upper() for word in read]
    at = upper.index(alias.upper()) if alias.upper() in upper else 0
    before = at - (2 if at and upper[at - 1] == "AS" else 1)
    is_alias = before >= 0 and upper[before] not in {",", "JOIN", "."}
    return name(read[before]) if is_alias else alias


def _after(words: tuple[str, ...], word: str) -> str:
    upper = [each.upper() for each in words]
    return Words(words[upper.index(word) + 1 :]).name() if word in upper else ""


def _set(words: Words) -> tuple[Action, ...]:
    found: list[Action] = []
    for part in parts(words.rest()):
        one = Words(part)
        local = one.take("SESSION", "LOCAL") != ""
        kept = one.take("GLOBAL", "PERSIST")
        target = canonical(one.upto("=", ":=")).removeprefix("@@").removeprefix("session.")
        one.word()
        if not target.startswith("@"):
            scope = f"{kept.lower()} " if kept else ""
            found.append(act.SetSetting(name=f"{scope}{target.lower()}", value=canonical(one.rest()), local=local))
    return tuple(found)


def _lock(words: Words) -> tuple[Action, ...]:
    if not words.take("TABLE", "TABLES"):
        return (act.Other(what="LOCK"),)
    found = []
    for part in parts(words.rest()):
        mode = "WRITE" if part[-1].upper() == "WRITE" else "READ"
        found.append(act.LockTable(table=Words(part).name(), mode=mode))
    return tuple(found)


def _control(word: str) -> Callable[[Words], tuple[Action, ...]]:
    def controlled(words: Words) -> tuple[Action, ...]:
        if word == "START" and not words.take("TRANSACTION"):
            return (act.Other(what="START"),)
        return (act.TransactionControl(word=word),)

    return controlled


def _maintain(word: str) -> Callable[[Words], tuple[Action, ...]]:
    def maintained(words: Words) -> tuple[Action, ...]:
        words.take("NO_WRITE_TO_BINLOG", "LOCAL")
        if not words.take("TABLE", "TABLES"):
            return (act.Other(what=word),)
        return tuple(act.Other(what=f"{word} TABLE", table=Words(p).name()) for p in parts(words.rest()))

    return maintained


def _opaque(reason: str) -> Callable[[Words], tuple[Action, ...]]:
    return lambda _words: (act.Opaque(reason=reason),)


_READERS: dict[str, Callable[[Words], tuple[Action, ...]]] = {
    "ALTER": _alter,
    "ANALYZE": _maintain("ANALYZE"),
    "BEGIN": _control("BEGIN"),
    "CALL": _opaque("it calls a procedure, which may do anything"),
    "CHECK": _maintain("CHECK"),
    "COMMIT": _control("COMMIT"),
    "CREATE": _create,
    "DEALLOCATE": _nothing,
    "DELETE": _delete,
    "DESC": _nothing,
    "DESCRIBE": _nothing,
    "DO": _nothing,
    "DROP": _drop,
    "EXECUTE": _opaque("it executes a prepared statement, whose text is not seen"),
    "EXPLAIN": _nothing,
    "FLUSH": _maintain("FLUSH"),
    "GRANT": lambda _words: (act.Other(what="GRANT"),),
    "INSERT": _insert,
    "LOAD": _load,
    "LOCK": _lock,
    "OPTIMIZE": _maintain("OPTIMIZE"),
    "PREPARE": _nothing,
    "RELEASE": _control("RELEASE"),
    "RENAME": _rename,
    "REPAIR": _maintain("REPAIR"),
    "REPLACE": _insert,
    "REVOKE": lambda _words: (act.Other(what="REVOKE"),),
    "ROLLBACK": _control("ROLLBACK"),
    "SAVEPOINT": _control("SAVEPOINT"),
    "SELECT": _nothing,
    "SET": _set,
    "SHOW": _nothing,
    "START": _control("START"),
    "TABLE": _nothing,
    "TRUNCATE": _truncate,
    "UNLOCK": lambda _words: (act.Other(what="UNLOCK TABLES"),),
    "UPDATE": _update,
    "USE": lambda _words: (act.Other(what="USE"),),
    "VALUES": _nothing,
    "WITH": _with,
}
