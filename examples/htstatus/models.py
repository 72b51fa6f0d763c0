"""The models of the newest release.

They work in a shell without further ado: outside of an application context, the first use of
`db.session` makes the application and enters its context for good.
"""

from flask import has_app_context
from flask.globals import app_ctx

from versions.v8 import create_app
from versions.v8.models import (
    Account,
    Appearance,
    ErrorLog,
    Export,
    Feedback,
    Match,
    PlayerMark,
    Players,
    Quarantine,
    SquadGroup,
    Team,
    TrainingEvent,
    User,
    UserSession,
    Vote,
    db,
)

__all__ = [
    "Account",
    "Appearance",
    "ErrorLog",
    "Export",
    "Feedback",
    "Match",
    "PlayerMark",
    "Players",
    "Quarantine",
    "SquadGroup",
    "Team",
    "TrainingEvent",
    "User",
    "UserSession",
    "Vote",
    "db",
]


def _app_context_id():
    if not has_app_context():
        create_app().app_context().push()
    return id(app_ctx._get_current_object())  # noqa: SLF001 - Werkzeug's documented way to see behind a proxy


db.session.registry.scopefunc = _app_context_id
