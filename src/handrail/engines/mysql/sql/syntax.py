"""Reads MySQL's and MariaDB's SQL word by word: strings, names, comments, and where a statement ends.

The lexical rules: https://dev.mysql.com/doc/refman/8.0/en/language-structure.html. A double-quoted word is a string, as
it is without ANSI_QUOTES; comments for one server (`/*!80016 ... */`, `/*M! ... */`) are read as what they hold, since
the server they are for runs it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_SERVERS_COMMENT = re.compile(r"/\*M?!\d*(.*?)\*/", re.DOTALL)
_TOKEN = re.compile(
    r"""
    (?:\s++|--(?=\s|\Z)[^\n]*+|\#[^\n]*+|/\*.*?(?:\*/|\Z))*+    # space and comments
    ( [xXbBnN]?'(?:[^'\\]|''|\\.)*+(?:'|\Z)                     # strings
    | "(?:[^"\\]|""|\\.)*+(?:"|\Z)
    | `(?:[^`]|``)*+(?:`|\Z)                                    # quoted names
    | @@?[\w$.\u0080-\U0010ffff]*+                              # variables
    | \.?[0-9](?:[eE][+-]?[0-9]|[\w.\u0080-\U0010ffff])*+       # numbers, with whatever sticks to them
    | [A-Za-z_$\u0080-\U0010ffff][\w$\u0080-\U0010ffff]*+
    | \$[0-9]++ | %(?:\(\w+\))?s
    | <=> | <> | ->> | -> | := | \|\| | && | [<>!]= | << | >> | .
    )?
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,  # what is no ASCII is a letter, also what Python takes for space
)
_LITERAL = re.compile(r"[xXbBnN]?'|\"|\.?[0-9]")
_PLAIN_NAME = re.compile(r"[A-Za-z_$\u0080-\U0010ffff][\w$\u0080-\U0010ffff]*")


def tokens(sql: str) -> list[str]:
    """Return the words of a text without space and comments; joined again they mean the same."""
    opened = _SERVERS_COMMENT.sub(r" \1 ", sql) if "!" in sql else sql
    return [token for token in _TOKEN.findall(opened) if token]


def name(token: str) -> str:
    """Return the name a token stands for, without its quotes."""
    if token[:1] in {"`", '"', "'"}:
        quote = token[0]
        return token[1:].removesuffix(quote).replace(quote * 2, quote)
    return token


def canonical(words: Sequence[str]) -> str:
    """Return the words with one space between them, and none where SQL is usually written without."""
    shown: list[str] = []
    before = ""
    for word in words:
        glued = word in {",", ")", ".", ";"} or before in {"", "(", "."}
        called = word == "(" and _PLAIN_NAME.fullmatch(before) is not None and before.upper() not in _NOT_CALLED
        shown.append(word if glued or called else f" {word}")
        before = word
    return "".join(shown)


_NOT_CALLED = frozenset({"AND", "AS", "BY", "CHECK", "IN", "INTO", "KEY", "NOT", "ON", "OR", "SELECT", "VALUES"})


def hide_literals(sql: str) -> str:
    """Return the statement on one line, without comments, with every literal as `?`."""
    return canonical(["?" if _LITERAL.match(word) else word for word in tokens(sql)])


def parts(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield what stands between commas that are in no parentheses."""
    part: list[str] = []
    depth = 0
    for word in words:
        depth += (word == "(") - (word == ")")
        if word == "," and not depth:
            yield tuple(part)
            part = []
        else:
            part.append(word)
    if part:
        yield tuple(part)


class Words:
    """The words of one statement, and how far they have been read."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = tuple(words)
        self._at = 0

    def __bool__(self) -> bool:
        """Return whether any are left."""
        return self._at < len(self._words)

    def peek(self, ahead: int = 0) -> str:
        """Return the next word in upper case, '' at the end."""
        at = self._at + ahead
        return self._words[at].upper() if at < len(self._words) else ""

    def take(self, *options: str) -> str:
        """Return the next word in upper case and step over it, if it is one of the options; '' otherwise."""
        word = self.peek()
        if word not in options:
            return ""
        self._at += 1
        return word

    def phrase(self, text: str) -> bool:
        """Step over all of these words if all of them come next, and return whether they do."""
        wanted = text.split()
        if [self.peek(ahead) for ahead in range(len(wanted))] != wanted:
            return False
        self._at += len(wanted)
        return True

    def word(self) -> str:
        """Return the next word as it is written and step over it, '' at the end."""
        word = self._words[self._at] if self else ""
        self._at += 1
        return word

    def name(self) -> str:
        """Return the name that comes next, qualified where it is."""
        found = name(self.word())
        while self.take("."):
            found = f"{found}.{name(self.word())}"
        return found

    def group(self) -> tuple[str, ...]:
        """Return what is between the parentheses that come next, () where none do."""
        if self.peek() != "(":
            return ()
        depth, start = 0, self._at + 1
        while self:
            word = self.word()
            depth += (word == "(") - (word == ")")
            if not depth:
                return self._words[start : self._at - 1]
        return self._words[start:]

    def rest(self) -> tuple[str, ...]:
        """Return all that is left, and step over it."""
        found, self._at = self._words[self._at :], len(self._words)
        return found

    def upto(self, *ends: str) -> tuple[str, ...]:
        """Return the words before the first one of `ends` that stands in no parentheses, and step over them."""
        start, depth = self._at, 0
        while self and (depth or self.peek() not in ends):
            word = self.word()
            depth += (word == "(") - (word == ")")
        return self._words[start : self._at]


def columns(group: Sequence[str]) -> tuple[str, ...]:
    """Return the names in a list of key parts, expressions as their SQL: `a`, `b(10) DESC`, `(lower(c))`."""
    return tuple(canonical(part[1:-1]) if part[0] == "(" else name(part[0]) for part in parts(group) if part)
