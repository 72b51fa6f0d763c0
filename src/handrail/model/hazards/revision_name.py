"""The name of a revision: the slug of its file and the title of its docstring."""

from __future__ import annotations

import ast
import inspect
import re

from handrail.model.hazards.syntax import syntax
from handrail.model.revision import Revision

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_DATED = re.compile(r"^(?:\d{4}[-_]?\d{2}[-_]?\d{2}|\d{10,14})(?:[-_T]?\d{2,6})*[-_]+")
_NUMBERED = re.compile(r"^v?\d+[-_]+", re.IGNORECASE)
#: A docstring whose first line is plain to see, without parsing the file.
_PLAIN_DOCSTRING = re.compile(r'"""([^"\\\t\n\r\f\v]*[^"\\\s][^"\\\t\n\r\f\v]*)\n')
#: Titles that say nothing of the change: Alembic writes the first one where no message is given.
NO_TITLE = frozenset({"empty message", "no message", "none", "${message}", "-", ".", "..."})


def said(text: str) -> tuple[str, ...]:
    """Return the words of a name or title in their order, in lower case."""
    return tuple(word.lower() for word in _WORD.findall(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text)))


VERBS_OF_MAKING = frozenset(
    said("add adds added adding create creates created creating introduce introduces insert seed new")
)
VERBS_OF_DROPPING = frozenset(
    said("drop drops dropped dropping remove removes removed removing delete deletes deleted")
)
VERBS_OF_CHANGE = (
    VERBS_OF_MAKING
    | VERBS_OF_DROPPING
    | frozenset(
        said("""
        rename renames move moves split splits merge merges join joins widen widens narrow narrows shorten extend
        extends change changes alter alters convert converts copy copies backfill backfills fill set unset replace
        replaces validate validates reindex index make makes mark marks store stores lower normalise normalize
        encrypt hash link populate migrate migrates truncate partition increase decrease shrink grow restrict relax
        enforce require revert restore cast swap deduplicate purge clean update updates switch turn attach detach
        enable disable constrain allow demand demands
    """)
    )
)


def slug(revision: Revision) -> str:
    """Return the part of the file's name that describes the change, '' where there is none."""
    stem, identity = revision.path.stem, revision.id
    if stem == identity:
        return ""
    rest = stem.removeprefix(f"{identity}_")
    if rest != stem and rest.strip("_- "):  # as Alembic names files; a pattern for each id costs more than the rules
        return rest
    return _elsewhere(stem, identity)


def _elsewhere(stem: str, identity: str) -> str:
    found = re.search(rf"(?:^|[-_]){re.escape(identity)}(?:[-_]|$)", stem)
    if found:
        after, before = stem[found.end() :], stem[: found.start()]
        return (
            after.strip("_- ") and after
            if after.strip("_- ")
            else _NUMBERED.sub("", _DATED.sub("", before + "_")).strip("_")
        )
    return _NUMBERED.sub("", _DATED.sub("", stem)) if not re.fullmatch(r"[0-9a-f]{8,40}_?", stem) else ""


def title(revision: Revision) -> str:
    """Return the first line of the docstring, '' where it is Alembic's word for none."""
    told = revision.header.purpose.strip()
    if any(name.strip("*- ").lower() == "purpose" for name, _ in revision.header.fields):
        told = _first_line(revision.source)
    return "" if told.lower().rstrip(".") in NO_TITLE or not _WORD.search(told) else told


def _first_line(source: str) -> str:
    """Return the first line of the docstring, '' where it is the field `Purpose:`, which says why and not what."""
    plain = _PLAIN_DOCSTRING.match(source)
    line = plain[1].strip() if plain else _parsed_first_line(source)
    return "" if re.match(r"\W*(?:purpose|impact|risk|rollback|testing)\W*:", line, re.IGNORECASE) else line


def _parsed_first_line(source: str) -> str:
    tree = syntax(source)
    docstring = ast.get_docstring(tree, clean=False) or "" if tree else ""
    return inspect.cleandoc(docstring).partition("\n")[0].strip()
