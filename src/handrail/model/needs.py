"""What a database needs of the server it lives on, so that a copy of it elsewhere is like it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """One installed extension; `schema` is where its objects are."""

    name: str
    version: str
    schema: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Locale:
    """How a database sorts and classifies text.

    `provider` is `libc`, `icu` or `builtin`; `collate` and `ctype` are the operating system's, `name` and `rules` those
    of the other providers.
    """

    provider: str
    collate: str
    ctype: str
    encoding: str
    name: str = ""
    rules: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collation:
    """One collation beside the database's own.

    `schema` is '' where it came with the server: then it has to be there under its name. One that was created in the
    database has to be possible: its `locale` must exist for its `provider`.
    """

    schema: str
    name: str
    provider: str
    locale: str
    deterministic: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """That a role is a member of `role`. `inherits` and `sets` are None before 16, which has only `admin`."""

    role: str
    admin: bool = False
    inherits: bool | None = None
    sets: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """One role, without its password; `options` are the words of CREATE ROLE that differ from its defaults."""

    name: str
    options: tuple[str, ...] = ()
    member_of: tuple[Membership, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Privilege:
    """One right on the database itself, or on its schema `public`; `role` '' is PUBLIC."""

    role: str
    name: str
    grantable: bool = False

    @property
    def whom(self) -> str:
        """The role as a person reads it."""
        return self.role or "PUBLIC"

    @property
    def told(self) -> str:
        """The right on a database as a person reads it."""
        return f"{self.name} on the database{' with grant option' if self.grantable else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What one database needs of its server. On an engine without servers all but `server_major` are empty.

    `collations` are those that it has or uses beside its default one; `roles` own something in it, are granted
    something, or are named by a policy or setting, with the roles that those are members of; `user` is the one that its
    URL logs in as; `settings` are those of server, database and roles that change what statements mean, as (role or '',
    name, value). `privileges` are the rights on the database and `public_privileges` those on its schema public, None
    where they are those of any new database; `public_owner` is '' where there is no such schema. `schemas` are wanted
    before the first revision; no database is read for them. `self_made` are roles that its own revisions create. `tls`
    is whether its URL wants an encrypted connection.
    """

    server_major: int
    extensions: tuple[Extension, ...] = ()
    locale: Locale | None = None
    collations: tuple[Collation, ...] = ()
    roles: tuple[Role, ...] = ()
    tablespaces: tuple[str, ...] = ()
    settings: tuple[tuple[str, str, str], ...] = field(default=(), repr=False)  # values may be confidential
    owner: str = ""
    user: str = ""
    privileges: tuple[Privilege, ...] | None = None
    public_owner: str = ""
    public_privileges: tuple[Privilege, ...] | None = None
    schemas: tuple[str, ...] = ()
    self_made: frozenset[str] = frozenset()
    tls: bool = False

    def role(self, name: str) -> Role | None:
        """Return the role of that name, None where it is not among the roles."""
        return next((role for role in self.roles if role.name == name), None)


def unlike(before: Needs, after: Needs, *, owners: bool) -> Iterator[str]:
    """Yield what a copy made `after` has not of the database itself, one sentence each; values are not told.

    No archive holds these: they are set on the database and not in it. Without `owners` they are not asked for.
    """
    now = {(role, name.lower()): value for role, name, value in after.settings}
    for role, name, value in before.settings:
        if now.get((role, name.lower())) != value:
            yield f"{name} of {f'role {role} in ' if role else ''}the database is not set as in the original"
    if not owners or before.privileges is None or after.privileges is None:
        return
    if before.owner != after.owner:
        yield f"the database belongs to {after.owner}, the original to {before.owner}"
    held = {p for p in before.privileges if p.role != before.owner}
    holds = {p for p in after.privileges if p.role != after.owner}
    for extra in sorted(holds - held, key=_order):
        yield f"{extra.told} is granted to {extra.whom}, in the original it is not"
    for missing in sorted(held - holds, key=_order):
        yield f"{missing.told} is not granted to {missing.whom}"


def _order(privilege: Privilege) -> tuple[str, str]:
    return privilege.role, privilege.name
