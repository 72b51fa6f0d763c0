"""The name of a revision tells why it was made, and not what it changes.

What happens: file or title say `fix_login_bug`, `gdpr_compliance`, `JIRA-123` or `support new billing`, and name
neither a change nor what it is made to.

Why: in a plan and in an incident the question is which table changes. The reason belongs into the header.

The safe way: the change in the name, the reason behind it: `Add users.consent, so that newsletters are lawful.`
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from handrail.model.finding import Finding
from handrail.model.hazards import revision_name
from handrail.model.hazards.revision_name import said
from handrail.model.hazards.scenes import email_added
from handrail.model.hazards.touched import names, speaks_of, tables
from handrail.model.hazards.touched import words as parts_of
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.verdict import Confidence, Severity

_REASONS = frozenset(
    said("""
        address addresses adjust adjustments allow because bug bugfix complaint complaints complete compliance
        customer customers customer's debt demand demanded deploy deployment enable faster feature features fix
        fixed fixes fixing gdpr handle hotfix implement improve improved improvement improvements incident issue
        issues jira legal needed needs optimise optimize performance prepare prepares preparation prevent product
        promised release request requested requests requirement requirements resolve resolves review slow solve
        solves speed sprint story support supports supporting task ticket tickets urgent want wanted wants workaround
    """)
)
#: What begins a reason, and stands in the middle of a change too.
_LEADING = frozenset(said("as due for per since so"))
_TICKET = re.compile(r"\b[A-Z][A-Z0-9]{1,9}-\d+\b|#\d+\b|\b(?:gh|issue|ticket|jira|bug)[-_ ]?\d+\b", re.IGNORECASE)


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding where file or title give a reason and no change."""
    step = revision.upgrade
    known = names(step) if step else frozenset[str]()
    texts = (revision_name.slug(revision.revision).strip("_- "), revision_name.title(revision.revision))
    reasons = [text for text in dict.fromkeys(texts) if text and _is_reason(text, known)]
    if not reasons:
        return
    touched = ", ".join(sorted(tables(step))) if step else ""
    yield RULE.in_file(
        revision,
        what=f"the name {' and '.join(repr(text) for text in reasons)} gives a reason and not the change",
        why="in a plan and in an incident the question is what changes",
        fix="name the change, as in add_users_email"
        + (f"; this one touches {touched}" if touched else "")
        + "; the reason goes behind it or into the header",
        confidence=Confidence.HIGH if known else Confidence.LOW,
    )


def _is_reason(text: str, known: frozenset[str]) -> bool:
    words = revision_name.said(text)
    if not words:
        return False
    changes = revision_name.VERBS_OF_CHANGE - _REASONS
    things = frozenset[str]().union(*map(parts_of, known))
    reasons = frozenset(word for word in _REASONS if not parts_of(word) & things)  # a table of customers, or tickets
    if words[0] in reasons & revision_name.VERBS_OF_CHANGE:  # enable, allow: a change where it says of what
        return not speaks_of(text, known)
    if words[0] in changes:
        first = re.split(r"\b(?:for|because|so that)\b", text.replace("_", " "), maxsplit=1)[0]
        named = not known or speaks_of(first, known)
        return not named and (bool(reasons.intersection(words)) or _TICKET.search(text) is not None)
    if words[0] in reasons | _LEADING or _TICKET.match(text):
        rest = words[1:]
        return not (changes.intersection(rest) and speaks_of(text, known))
    reason = bool(reasons.intersection(words)) or _TICKET.search(text) is not None
    return reason and not (changes.intersection(words) or speaks_of(text, known))


RULE = Rule(
    name="name-reason-instead-of-change",
    severity=Severity.WARNING,
    engines=EVERY_ENGINE,
    source="https://alembic.sqlalchemy.org/en/latest/tutorial.html#create-a-migration-script",
    findings=findings,
    baseline=True,
    examples=(
        email_added("fix_login_bug", "Fix login bug.", flagged=True),
        email_added("gdpr_compliance", "GDPR compliance.", flagged=True),
        email_added("jira_123", "JIRA-123", flagged=True),
        email_added("support_notifications", "Support notifications.", flagged=True),
        email_added("add_users_email", "Because customers want newsletters.", flagged=True),
        email_added("add_feature_for_newsletters", "Add users.email.", flagged=True),
        email_added("improve_performance", "Improve performance of the user list.", flagged=True),
        email_added("add_users_email", "Add email field to users table for notifications.", flagged=False),
        email_added("add_users_email", "Add users.email, because customers want newsletters.", flagged=False),
        email_added("add_users_email_abc_123", "ABC-123: add users.email.", flagged=False),
        email_added("users_email", "Users get an email.", flagged=False),
        email_added("for_the_new_search", "For the new search", flagged=True),
        Example(
            given=("CREATE TABLE customers (id integer PRIMARY KEY, name varchar(50))",),
            body='op.add_column("customers", sa.Column("full_name", sa.String(50)))',
            file="e1_customers_full_name_expand.py",
            docstring="Add customers.full_name beside name.\n\nPurpose: Rename it.\nImpact: customers gain it.\n",
            flagged=False,
        ),
        email_added("allow_empty_email", "Allow an empty email", flagged=False),
        Example(
            given=("CREATE TABLE users (id integer PRIMARY KEY)",),
            body='op.add_column("users", sa.Column("email", sa.String(50)))',
            file="e1_add_users_email.py",
            docstring="Add users.email.\n\nPurpose: Support notifications.\nImpact: users gains email.\n",
            flagged=False,
        ),
    ),
)
