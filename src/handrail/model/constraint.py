"""Which constraint a name means, and which ones go with a column."""

from __future__ import annotations

import re

from handrail.model.schema import ConstraintKind
from handrail.model.spec import ConstraintSpec

#: Names that are made up for a primary key: by PostgreSQL, by MySQL, and by Alembic's usual convention.
_OF_A_KEY = re.compile(r"_pkey$|^PRIMARY$|^pk_")


def about(constraint: ConstraintSpec, column: str) -> bool:
    """Return whether a constraint is about that column: servers drop it with the column."""
    condition = re.sub(r"'[^']*'", "", constraint.expression)
    return column in constraint.columns or re.search(rf"\b{re.escape(column)}\b", condition) is not None


def meant(constraints: tuple[ConstraintSpec, ...], name: str) -> ConstraintSpec | None:
    """Return the constraint that a name means, None for none: a naming convention, or the server, may have made it up.

    Conventions put something before a name that is given (`ck_users_` before `positive`), and make a name of the
    columns where none is (`fk_users_team_id_teams`); so does PostgreSQL (`users_team_id_fkey`, `users_pkey`).
    """
    exact = (c for c in constraints if c.name == name)
    ends = (c for c in constraints if c.name and name.endswith(f"_{c.name}"))
    made_up = (c for c in constraints if not c.name and c.columns and all(column in name for column in c.columns))
    keys = (c for c in constraints if not c.name and c.kind is ConstraintKind.PRIMARY_KEY and _OF_A_KEY.search(name))
    return next(exact, None) or next(ends, None) or next(made_up, None) or next(keys, None)
