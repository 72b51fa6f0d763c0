"""Keeps passwords out of everything we print, write or raise."""

from __future__ import annotations

import re

_PASSWORD_IN_URL = re.compile(r"(?P<head>\b[\w+.-]+://[^\s:/@]*):(?P<password>[^\s/]+)@")
_PASSWORD_IN_DSN = re.compile(r"(?P<head>\bpassword\s*=\s*)(?P<password>'(?:[^'\\]|\\.)*'|\S+)", re.IGNORECASE)

_known: set[str] = set()


def remember(secret: str) -> None:
    """Mask this text, and its URL-quoted form, wherever it appears from now on. Short ones (<4) would mask words."""
    if len(secret) >= 4:  # noqa: PLR2004 - shorter ones would mask ordinary words
        _known.add(secret)


def mask(text: str) -> str:
    """Return the text with every password in a URL or DSN, and every remembered secret, replaced by `***`."""
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, "***")
    text = _PASSWORD_IN_URL.sub(r"\g<head>:***@", text)
    return _PASSWORD_IN_DSN.sub(r"\g<head>***", text)
