"""Lets the sandbox act as the application's role, which the migrating role of the original may not be a member of."""

from __future__ import annotations

from dataclasses import replace

from handrail.model.needs import Membership, Needs, Role

#: Since this major a membership can be had without its rights.
_APART_SINCE = 16


def needing(needs: Needs, role: str) -> Needs:
    """Return the same needs with that role, and with the roles that migrate free to take it on; unchanged for ''."""
    if not role:
        return needs
    roles = needs.roles if needs.role(role) else (*needs.roles, Role(name=role, options=("LOGIN",)))
    return replace(needs, roles=tuple(_free(each, role, needs) for each in roles))


def _free(each: Role, role: str, needs: Needs) -> Role:
    if each.name == role or each.name not in {needs.user, needs.owner}:
        return each
    known = next((m for m in each.member_of if m.role == role), None)
    apart = needs.server_major >= _APART_SINCE
    free = Membership(
        role=role,
        admin=known.admin if known else False,
        inherits=(known.inherits if known else False) if apart else None,
        sets=True if apart else None,
    )
    return replace(each, member_of=(*(m for m in each.member_of if m.role != role), free))
