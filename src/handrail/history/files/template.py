"""The files that Handrail brings to a project, and the five fields in the template of its revisions."""

from __future__ import annotations

import re
from importlib.resources import files

from mako.template import Template

from handrail.history.files import header

#: The name of Alembic's template in the script folder, and of ours.
REVISION = "script.py.mako"
_TITLE = re.compile(r'^(?P<quote>"""|\'\'\')\$\{\s*message\b[^}]*\}\.?', re.MULTILINE)
_FIELD = re.compile(r"^(?P<name>[A-Z]\w+): (?P<value><.*)$", re.MULTILINE)


def text(name: str) -> str:
    """Return one of our files as it is."""
    return files("handrail.history.files").joinpath("templates", name).read_text(encoding="utf-8")


def filled(name: str, **values: object) -> str:
    """Return one of our files, filled by Mako."""
    rendered = Template(text(name)).render_unicode(**values)  # noqa: S702 - YAML for a file, no page for a browser
    return str(rendered)


def fields() -> dict[str, str]:
    """Return what our template has for a person to fill in, by the name of the field, in its order."""
    return {match["name"]: match["value"] for match in _FIELD.finditer(text(REVISION))}


def with_fields(template: str) -> str | None:
    """Return a project's template with the fields that its docstring lacks, put below the title.

    The template itself where it has them all; None where no docstring begins with the message.
    """
    title = _TITLE.search(template)
    if title is None:
        return None
    end = template.find(title["quote"], title.end())
    present = header.parse(template[title.start("quote") + 3 : end if end >= 0 else None])
    missing = [f"{name}: {value}" for name, value in fields().items() if not getattr(present, name.lower())]
    if not missing:
        return template
    newline = "\r\n" if "\r\n" in template else "\n"
    block = newline.join(["", *missing])
    following = template[title.end() :]
    if following.startswith(title["quote"]):
        block += newline
    return template[: title.end()] + newline + block + following
