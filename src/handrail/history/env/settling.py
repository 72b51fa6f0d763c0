"""Tells what an env.py sends to settle its session, which can be repeated on ours, from what does something else.

Only settings that decide whose and which objects a migration finds, how it writes values, and how much memory it may
use are repeated. Those that Handrail settles itself are passed over. Nothing else is known to be harmless.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from enum import Enum

#: Settings that Handrail's sessions have values of their own for.
_OURS = (
    "application_name|client_encoding|client_min_messages|idle_in_transaction_session_timeout|lock_timeout"
    "|statement_timeout"
)
_REPEATED = (
    r"role|search_path|datestyle|intervalstyle|timezone|row_security|check_function_bodies|synchronous_commit|work_mem"
    r"|maintenance_work_mem|max_parallel_maintenance_workers|default_tablespace|temp_tablespaces"
    r"|default_table_access_method|[a-z_]\w*\.\w+"
)
_VALUE = r"[^;]+;?\s*$"

_PASSED_OVER = re.compile(rf"\s*(?:PRAGMA\b|SET\s+(?:LOCAL\s+|SESSION\s+)?(?:{_OURS})\b)", re.IGNORECASE)
_SETTING = re.compile(
    rf"\s*SET\s+(?:(?P<local>LOCAL\s+)|SESSION\s+)?"
    rf"(?:(?:{_REPEATED})\s*(?:=|\bTO\b){_VALUE}|(?:ROLE|TIME\s+ZONE|(?:SESSION\s+)?AUTHORIZATION)\s{_VALUE})",
    re.IGNORECASE,
)
_CONFIG = re.compile(
    rf"\s*SELECT\s+(?:pg_catalog\.)?set_config\(\s*'(?:{_REPEATED})'\s*,\s*'(?:[^']|'')*'\s*,\s*(?:true|false)\s*\)"
    r";?\s*$",
    re.IGNORECASE,
)
_RESET = re.compile(rf"\s*RESET\s+(?:{_REPEATED}|SESSION\s+AUTHORIZATION);?\s*$", re.IGNORECASE)
_SCHEMA = re.compile(rf"\s*CREATE\s+SCHEMA\s+IF\s+NOT\s+EXISTS\s{_VALUE}", re.IGNORECASE)
_NAME = re.compile(rf"(?:{_REPEATED})$", re.IGNORECASE)


class Settling(Enum):
    """What a statement of env.py's own is for us."""

    PASSED_OVER = "passed over"
    REPEATED = "repeated"
    SCHEMA = "schema"
    UNKNOWN = "unknown"


def settling(sql: str) -> Settling:
    """Return what that statement is for us."""
    if _PASSED_OVER.match(sql):
        return Settling.PASSED_OVER
    if any(pattern.match(sql) for pattern in (_SETTING, _CONFIG, _RESET)):
        return Settling.REPEATED
    return Settling.SCHEMA if _SCHEMA.match(sql) else Settling.UNKNOWN


def for_session(sql: str) -> str:
    """Return the statement so that what it sets outlives its transaction: ours are others than env.py's."""
    match = _SETTING.match(sql)
    if match and match["local"]:
        return f"{sql[: match.start('local')]}{sql[match.end('local') :]}".strip()
    return re.sub(r",\s*true\s*\)", ", false)", sql, flags=re.IGNORECASE).strip() if _CONFIG.match(sql) else sql.strip()


def parameters(name: str, value: object) -> tuple[tuple[str, str], ...] | None:
    """Return the settings of the server that this argument of a driver's connect() makes; None for any other one.

    libpq's `options` (https://www.postgresql.org/docs/current/libpq-connect.html) and asyncpg's `server_settings`.
    """
    if name == "server_settings" and isinstance(value, Mapping):
        found = [(str(key), str(text)) for key, text in value.items()]
    elif name == "options" and isinstance(value, str):
        found = list(_options(value))
    else:
        return None
    kept = tuple((key, text) for key, text in found if not re.fullmatch(_OURS, key, re.IGNORECASE))
    return kept if all(_NAME.match(key) for key, _ in kept) else None


def _options(text: str) -> list[tuple[str, str]]:
    """Return `-c name=value`, `-cname=value` and `--name=value` as pairs; what is none of them has an empty name."""
    words = shlex.split(text)
    pairs = []
    while words:
        word = words.pop(0)
        if word == "-c" and words:
            word = f"-c{words.pop(0)}"
        assignment = word.removeprefix("-c") if word.startswith("-c") else word.removeprefix("--")
        name, equals, value = assignment.partition("=")
        pairs.append((name.replace("-", "_") if equals else "", value))
    return pairs
