"""The syntax of a revision file: many rules look at it, one after the other, for one revision at a time."""

from __future__ import annotations

import ast
import warnings
from functools import lru_cache


@lru_cache(maxsize=2)
def syntax(source: str) -> ast.Module | None:
    """Return the tree of a source, which is shared: not to be changed. None where Python cannot parse it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\\d" in a string is the file's own affair; Python warns when it runs
            return ast.parse(source)
    except (SyntaxError, ValueError):
        return None
