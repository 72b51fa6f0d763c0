"""Reads SQLite's SQL as far as Handrail needs it: words, names, and what a statement is about.

The lexical rules are SQLite's own: https://www.sqlite.org/lang_keywords.html, https://www.sqlite.org/lang_comment.html.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

_TOKEN = re.compile(
    r"""
    (?:\s++|--[^\n]*+|/\*.*?(?:\*/|\Z))*+   # space and comments
    ( [xX]?'(?:[^']|'')*+(?:'|\Z)           # text and blobs
    | "(?:[^"]|"")*+(?:"|\Z)                # quoted names, in the three ways SQLite knows
    | `(?:[^`]|``)*+(?:`|\Z)
    | \[[^\]]*+(?:\]|\Z)
    | [A-Za-z_\u0080-\U0010ffff][\w$\u0080-\U0010ffff]*+
    | \.?[0-9](?:[eE][+-]?[0-9]|[\w.\u0080-\U0010ffff])*+    # numbers, with whatever sticks to them
    | \?[0-9]*+ | [:@$][\w$\u0080-\U0010ffff]++(?:::\w++)*+
    | \|\| | <> | ->> | -> | [<>=!]= | << | >> | .
    )?
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,  # what is no ASCII is a letter to SQLite, also what Python takes for space
)
_KEYWORD_LIST = """
    ABORT ACTION AFTER ALL ALTER ALWAYS AND AS ASC AUTOINCREMENT BEFORE BEGIN BETWEEN BY CASCADE CASE CAST CHECK
    COLLATE COLUMN CONFLICT CONSTRAINT CREATE CROSS CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP DEFAULT
    DEFERRABLE DEFERRED DELETE DESC DISTINCT DO DROP EACH ELSE END ESCAPE EXCEPT EXISTS FAIL FALSE FILTER FIRST
    FOR FOREIGN FROM FULL GENERATED GLOB GROUP HAVING IF IGNORE IMMEDIATE IN INDEX INITIALLY INNER INSERT
    INSTEAD INTERSECT INTO IS ISNULL JOIN KEY LAST LEFT LIKE LIMIT MATCH MATERIALIZED NATURAL NO NOT NOTHING
    NOTNULL NULL NULLS OF OFFSET ON OR ORDER OUTER OVER PARTITION PRIMARY RAISE RECURSIVE REFERENCES REGEXP
    RENAME REPLACE RESTRICT RETURNING RIGHT ROLLBACK ROW ROWID ROWS SELECT SET STORED STRICT TABLE TEMP
    TEMPORARY THEN TO TRIGGER TRUE UNION UNIQUE UPDATE USING VALUES VIEW VIRTUAL WHEN WHERE WINDOW WITH WITHOUT
"""
_KEYWORDS = frozenset(_KEYWORD_LIST.split())
_UPPER = {form: word for word in _KEYWORDS for form in (word.lower(), word.capitalize())}
_QUOTES = frozenset('"`[')
_PLAIN_NAME = re.compile(r"[A-Za-z_\u0080-\U0010ffff][\w$\u0080-\U0010ffff]*")
_LITERAL = re.compile(r"[xX]?'|\.?[0-9]")
_BEFORE_VALUES = "= == <> != < > <= >= || -> ->> LIKE GLOB REGEXP MATCH ESCAPE DEFAULT THEN ELSE"
_TEXT_FOLLOWS = frozenset(_BEFORE_VALUES.split())


def tokens(sql: str) -> list[str]:
    """Return the words of a statement without space and comments; joined again they mean the same."""
    return [token for token in _TOKEN.findall(sql) if token]


def name(token: str) -> str:
    """Return the name a token stands for, without its quotes."""
    quote = token[:1]
    if quote == "[":
        return token[1:].removesuffix("]")
    if quote in {'"', "`", "'"}:
        return token[1:].removesuffix(quote).replace(quote * 2, quote)
    return token


def items(words: Sequence[str]) -> tuple[list[list[str]], Sequence[str]]:
    """Return the parts between the first parentheses, split at their commas, and the words after them."""
    parts: list[list[str]] = [[]]
    part = parts[0]
    depth = 0
    for at, word in enumerate(words):
        if word == "(":
            depth += 1
            if depth > 1:
                part.append(word)
        elif word == ")":
            depth -= 1
            if depth == 0:
                return parts, words[at + 1 :]
            part.append(word)
        elif word == "," and depth == 1:
            part = []
            parts.append(part)
        elif depth:
            part.append(word)
    return parts, ()


def canonical(words: Sequence[str]) -> str:
    """Return one spelling for all texts that differ only in space, comments, case of keywords and needless quotes."""
    parts: list[str] = []
    before = ""
    for text in spelled(words):
        glued = not parts or text in {",", ")", ".", ";"} or before in {"(", "."} or (text == "(" and _is_call(before))
        parts.append(text if glued else f" {text}")
        before = text
    return "".join(parts)


def hide_literals(sql: str) -> str:
    """Return the statement on one line, without comments, with every literal as `?`.

    A double-quoted word is a name in SQL, but SQLite takes it for text where no such column exists
    (https://www.sqlite.org/quirks.html#dblquote): where a value may stand, it is hidden too.
    """
    shown: list[str] = []
    words = tokens(sql)
    values_depth = depth = 0
    for at, word in enumerate(words):
        before = words[at - 1].upper() if at else ""
        depth += (word == "(") - (word == ")")
        if word == "(" and not values_depth and before in {"VALUES", "IN"}:
            values_depth = depth
        elif word == ")" and depth < values_depth and words[at + 1 : at + 2] != [","]:
            values_depth = 0
        quoted_value = (
            word[0] == '"' and (values_depth or before in _TEXT_FOLLOWS) and "." not in words[at + 1 : at + 2]
        )
        shown.append("?" if _LITERAL.match(word) or quoted_value else word)
    return canonical(shown)


def spelled(words: Sequence[str]) -> list[str]:
    """Return the words with keywords in upper case and names without needless quotes."""
    return [_unquoted(word) if word[0] in _QUOTES else _UPPER.get(word, word) for word in words if word]


def _unquoted(word: str) -> str:
    plain = name(word)
    if _PLAIN_NAME.fullmatch(plain) and plain.upper() not in _KEYWORDS:
        return plain
    return '"' + plain.replace('"', '""') + '"'


def _is_call(before: str) -> bool:
    return bool(_PLAIN_NAME.fullmatch(before)) and before not in _KEYWORDS


class Verb(Enum):
    """What a statement does, as far as its first words say."""

    CREATE = auto()
    DROP = auto()
    ADD_COLUMN = auto()
    DROP_COLUMN = auto()
    RENAME_TABLE = auto()
    RENAME_COLUMN = auto()
    INSERT = auto()
    UPDATE = auto()
    DELETE = auto()
    SELECT = auto()
    PRAGMA = auto()
    SESSION = auto()
    VACUUM = auto()
    MAINTAIN = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a statement is about.

    `kind` is the word after CREATE or DROP (`TABLE`, `INDEX`, `VIEW`, `TRIGGER`). `name` is the object or table,
    `table` the table of a created index or trigger. `column` and `new_name` belong to ALTER TABLE. `words` are all
    tokens, and `body` those from the name on, as SQLite keeps them in sqlite_schema.
    """

    verb: Verb
    words: tuple[str, ...]
    kind: str = ""
    name: str = ""
    table: str = ""
    column: str = ""
    new_name: str = ""
    temporary: bool = False
    body: tuple[str, ...] = ()

    @property
    def from_query(self) -> bool:
        """Whether it is CREATE TABLE AS, whose text SQLite writes by itself."""
        return self.kind == "TABLE" and [word.upper() for word in self.body[1:2]] == ["AS"]

    def has(self, word: str) -> bool:
        """Whether that keyword occurs anywhere in the statement."""
        return any(token.upper() == word for token in self.words)


def shape(sql: str) -> Shape | None:
    """Return what one statement is about; None where it was not understood, or is more than one statement."""
    words = tokens(sql)
    while words and words[-1] == ";":
        words.pop()
    if not words:
        return None
    is_trigger = "TRIGGER" in (word.upper() for word in words[1:4])
    if ";" in words and not is_trigger:
        return None
    return _Reader(words).shape()


class _Reader:
    """Walks over the words of one statement."""

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.at = 0

    def peek(self) -> str:
        return self.words[self.at].upper() if self.at < len(self.words) else ""

    def take(self, *options: str) -> str:
        """Return the next word and step over it, if it is one of the options; '' otherwise."""
        word = self.peek()
        if word not in options:
            return ""
        self.at += 1
        return word

    def phrase(self, *words: str) -> None:
        for word in words:
            self.take(word)

    def name(self) -> str:
        """Return the name that comes next, without the schema before it."""
        if self.at >= len(self.words):
            return ""
        found = name(self.words[self.at])
        self.at += 1
        if self.peek() == ".":
            self.at += 1
            return self.name()
        return found

    def shape(self) -> Shape | None:
        verb = self.peek()
        self.at += 1
        match verb:
            case "CREATE":
                return self._create()
            case "DROP":
                return self._drop()
            case "ALTER":
                return self._alter()
            case "WITH":
                return self._with()
            case "PRAGMA":
                return Shape(verb=Verb.PRAGMA, words=tuple(self.words), name=self.name().lower())
            case "INSERT" | "REPLACE" | "UPDATE" | "DELETE":
                return self._write(verb)
            case _:
                simple = _SIMPLE.get(verb)
                return simple and Shape(verb=simple, words=tuple(self.words))

    def _create(self) -> Shape | None:
        temporary = bool(self.take("TEMP", "TEMPORARY"))
        unique = self.take("UNIQUE", "VIRTUAL")
        kind = self.take("TABLE", "INDEX", "VIEW", "TRIGGER")
        if not kind or (unique and kind not in {"INDEX", "TABLE"}):
            return None
        if kind == "INDEX" and self.peek() == "CONCURRENTLY":
            return None
        self.phrase("IF", "NOT", "EXISTS")
        created = self.name()
        body = tuple(self.words[self.at - 1 :])
        table = ""
        if kind in {"INDEX", "TRIGGER"}:
            while self.peek() not in {"ON", ""}:
                self.at += 1
            if not self.take("ON"):
                return None
            table = self.name()
        return Shape(
            verb=Verb.CREATE,
            words=tuple(self.words),
            kind=kind,
            name=created,
            table=table,
            temporary=temporary,
            body=body,
        )

    def _drop(self) -> Shape | None:
        kind = self.take("TABLE", "INDEX", "VIEW", "TRIGGER")
        self.phrase("IF", "EXISTS")
        return Shape(verb=Verb.DROP, words=tuple(self.words), kind=kind, name=self.name()) if kind else None

    def _alter(self) -> Shape | None:
        if not self.take("TABLE"):
            return None
        table = self.name()
        change = self.take("ADD", "DROP", "RENAME")
        if change == "RENAME" and self.take("TO"):
            return Shape(verb=Verb.RENAME_TABLE, words=tuple(self.words), name=table, new_name=self.name())
        self.take("COLUMN")
        if not change or self.peek() in _NOT_A_COLUMN or self._has_several_parts():
            return None
        column = self.name()
        if change != "RENAME":
            verb = Verb.ADD_COLUMN if change == "ADD" else Verb.DROP_COLUMN
            return Shape(verb=verb, words=tuple(self.words), name=table, column=column)
        if not self.take("TO"):
            return None
        return Shape(verb=Verb.RENAME_COLUMN, words=tuple(self.words), name=table, column=column, new_name=self.name())

    def _has_several_parts(self) -> bool:
        """Return whether a comma stands in no parentheses: other servers take several changes in one ALTER TABLE."""
        depth = 0
        for word in self.words[self.at :]:
            depth += (word == "(") - (word == ")")
            if word == "," and not depth:
                return True
        return False

    def _write(self, verb: str) -> Shape:
        if self.take("OR"):
            self.take("ROLLBACK", "ABORT", "REPLACE", "FAIL", "IGNORE")
        self.take("INTO", "FROM")
        meaning = {"UPDATE": Verb.UPDATE, "DELETE": Verb.DELETE}.get(verb, Verb.INSERT)
        return Shape(verb=meaning, words=tuple(self.words), name=self.name())

    def _with(self) -> Shape | None:
        depth = 0
        while self.at < len(self.words):
            word = self.peek()
            self.at += 1
            depth += (word == "(") - (word == ")")
            if depth:
                continue
            if word in {"INSERT", "REPLACE", "UPDATE", "DELETE"}:
                return self._write(word)
            if word in {"SELECT", "VALUES"}:
                return Shape(verb=Verb.SELECT, words=tuple(self.words))
        return None


# SQLite 3.53 brought ALTER TABLE ADD CONSTRAINT and its kin: not read yet, so assumed the worst.
_NOT_A_COLUMN = frozenset({"CONSTRAINT", "CHECK", "PRIMARY", "FOREIGN", "IF", ""})
_SIMPLE = {
    "SELECT": Verb.SELECT,
    "VALUES": Verb.SELECT,
    "EXPLAIN": Verb.SELECT,
    "BEGIN": Verb.SESSION,
    "COMMIT": Verb.SESSION,
    "END": Verb.SESSION,
    "ROLLBACK": Verb.SESSION,
    "SAVEPOINT": Verb.SESSION,
    "RELEASE": Verb.SESSION,
    "ATTACH": Verb.SESSION,
    "DETACH": Verb.SESSION,
    "VACUUM": Verb.VACUUM,
    "REINDEX": Verb.MAINTAIN,
    "ANALYZE": Verb.MAINTAIN,
}
