"""One database, as we met it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Facts about one database and the server it lives on, read in one look.

    `system_id` is the cluster's identifier and `database_oid` the database's number in it; both '' on engines that have
    none. `url` is masked. `server` is the full version text, `server_major` its first number.
    """

    engine: str
    url: str
    database: str
    host: str
    user: str
    server: str
    server_major: int
    system_id: str = ""
    database_oid: str = ""
    standby: bool = False
    read_only: bool = False
