"""What the models of the deployed versions have, for rules about older versions."""

from __future__ import annotations

from collections.abc import Mapping

from handrail.config import Settings
from handrail.errors import JournalUnusable
from handrail.flows.ports import journal_of
from handrail.model.replayed import bare
from handrail.model.spec import UNKNOWN, Unknown

Models = Mapping[str, Mapping[str, frozenset[str]]]
#: The journal's table of versions, as it stands in a file of SQLite that has one.
_TABLE = b"handrail_versions"


def models(settings: Settings) -> Models | Unknown:
    """Return the columns that each deployed version has in its models, by table; UNKNOWN where none is registered."""
    try:
        known = journal_of(settings).versions()
    except JournalUnusable:  # it may be a team's, out of reach from here: then nothing is known of versions
        return UNKNOWN
    running = {
        version.name: {
            bare(table.full_name): frozenset(column.name for column in table.columns)
            for table in version.contract.tables
        }
        for version in known
        if version.deployed
    }
    return running or UNKNOWN


def models_here(settings: Settings) -> Models | Unknown:
    """Return the same where the journal is a file, UNKNOWN for one that would have to be connected to.

    SQLAlchemy is loaded only where a version was ever registered.
    """
    try:
        kept = _TABLE in (settings.root / settings.journal).read_bytes()
    except OSError:
        return UNKNOWN
    return models(settings) if kept else UNKNOWN
