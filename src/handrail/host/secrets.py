"""Keeps passwords out of everything we print, write or raise."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus, unquote

_PASSWORD_IN_URL = re.compile(r"(?P<head>\b[\w+.-]+://[^\s:/@]*):(?P<password>[^\s/]+)@")
# Unquoted values end at a quote or comma too: what is masked may be a JSON document, and has to stay one.
_PASSWORD_IN_DSN = re.compile(
    r"""(?P<head>\bpassword\s*=\s*)(?P<password>'(?:[^'\\]|\\.)*'|[^\s"',]+)""", re.IGNORECASE
)
_SHORTEST = 4

_known: set[str] = set()


def remember(secret: str, *, beside: Iterable[str | None] = ()) -> None:
    """Mask this text wherever it appears from now on, also as URLs, JSON and `repr` write it.

    Texts of fewer than four characters are left alone, and those that are part of a name shown openly `beside` them
    (user, database, host): they would mask ordinary words. In URLs and DSNs they are masked all the same.
    """
    if any(secret.casefold() in name.casefold() for name in beside if name):
        return
    for form in {secret, unquote(secret)}:
        quoted = {quote(form, safe=""), quote_plus(form), quote(form, safe=" +")}  # the last one is SQLAlchemy's
        written = {form, *quoted, json.dumps(form)[1:-1], repr(form)[1:-1]}
        _known.update(text for text in written if len(text) >= _SHORTEST)


def mask(text: str) -> str:
    """Return the text with every password in a URL or DSN, and every remembered secret, replaced by `***`."""
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, "***")
    if "://" in text:
        text = _PASSWORD_IN_URL.sub(r"\g<head>:***@", text)
    if "=" in text:
        text = _PASSWORD_IN_DSN.sub(r"\g<head>***", text)
    return text
