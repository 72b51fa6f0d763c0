"""Which part of a schema the statements about one table can meet, so that only what changed is exercised again."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from handrail.model.schema import Snapshot

_WORD = re.compile(r"\w+")


class Reach:
    """The names of one schema and what each of them mentions; `rights` of names count where they may differ."""

    def __init__(self, snapshot: Snapshot, rights: Mapping[str, str]) -> None:
        texts = {f"table {t.name}": (t.name, repr(t)) for t in snapshot.tables}
        texts |= {f"{o.kind} {o.name}": (o.name, o.definition) for o in snapshot.objects}
        self._texts = {key: f"{text} {rights.get(name, '')}" for key, (name, text) in texts.items()}
        self._named: dict[str, list[str]] = {}
        for key, (name, _) in texts.items():
            self._named.setdefault(_last(name), []).append(key)
        self._mentions = {
            key: {word for word in _WORD.findall(f"{name} {text}") if word in self._named}
            for key, (name, text) in texts.items()
        }
        self._mentioned: dict[str, list[str]] = {}
        for key, words in self._mentions.items():
            for word in words:
                self._mentioned.setdefault(word, []).append(key)

    def digest(self, table: str) -> str:
        """Return a digest of all that can matter to statements about that table.

        Itself, what mentions it (children, triggers, views, policies), all that those mention in turn, and what is not
        a table but mentions one of them.
        """
        start = _last(table)
        todo = [*self._named.get(start, ()), *self._mentioned.get(start, ())]
        seen: set[str] = set()
        while todo:
            key = todo.pop()
            if key in seen:
                continue
            seen.add(key)
            for word in self._mentions[key]:
                todo += self._named[word]
            if key.startswith("table "):
                own = _last(key.removeprefix("table "))
                todo += [other for other in self._mentioned.get(own, ()) if not other.startswith("table ")]
        text = "\0".join(f"{key}\0{self._texts[key]}" for key in sorted(seen))
        return hashlib.sha256(f"{table}\0{text}".encode()).hexdigest()


def _last(name: str) -> str:
    """Return the last plain word of a name: of `public.users` users, of `users.trigger` trigger."""
    words = _WORD.findall(name)
    return words[-1] if words else name
