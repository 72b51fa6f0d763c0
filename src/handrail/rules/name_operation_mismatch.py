"""The name of a revision says something else than it does.

What happens: file or title say that something is added, and `upgrade()` only drops; or the other way round; or they
say that an index or a table is made, and something else is.

Why: the revision was copied, or `upgrade()` and `downgrade()` were swapped. Who trusts the name in a plan approves
something else than what runs.

The safe way: name the change that `upgrade()` makes, or swap the two functions.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model import action as act
from handrail.model.finding import Finding
from handrail.model.hazards import revision_name
from handrail.model.hazards.touched import names, words
from handrail.model.reviewed import ReviewedRevision, ReviewedStep
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.verdict import Severity

_MAKING = act.CreateTable | act.AddColumn | act.AddConstraint | act.CreateIndex | act.CreateEnum | act.CreateObject
_DROPPING = act.DropTable | act.DropColumn | act.DropConstraint | act.DropIndex | act.DropObject
#: What makes the things that a name calls so: a unique constraint is an index as well.
_MAKES = {"index": act.CreateIndex | act.AddConstraint, "table": act.CreateTable}
_BEFORE_A_KIND = frozenset(revision_name.said("a an the new unique partial composite covering missing"))
_OTHER = act.WriteRows | act.AlterNullable | act.AlterDefault | act.AlterType | act.RedefineColumn | act.Opaque


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding where the first verb of file or title is the opposite of every operation."""
    step = revision.upgrade
    if step is None or not step.read:
        return
    does = _does(step)
    if not does:
        return
    opposite = revision_name.VERBS_OF_DROPPING if does == "makes" else revision_name.VERBS_OF_MAKING
    for text in (revision_name.slug(revision.revision), revision_name.title(revision.revision)):
        said = revision_name.said(text)
        if not said:
            continue
        wrong = f"upgrade() only {does} things" if said[0] in opposite else _of_another_kind(said, step)
        if wrong:
            yield RULE.in_file(
                revision,
                what=f"the name {text!r} says {said[0]}, and {wrong}",
                why="who approves a plan by its names approves something else than what runs",
                fix="name what upgrade() does; where upgrade() and downgrade() are swapped, swap them back",
            )
            return


def _of_another_kind(said: tuple[str, ...], step: ReviewedStep) -> str:
    """Return what is wrong where the name says that an index or a table is made, and none is."""
    kind = next((word for word in said[1:] if word not in _BEFORE_A_KIND), "")
    made = _MAKES.get(kind)
    if said[0] not in revision_name.VERBS_OF_MAKING or made is None:
        return ""
    actions = [action for _, action in step.actions()]
    if any(isinstance(action, made) for action in actions) or any(kind in words(name) for name in names(step)):
        return ""
    return f"upgrade() makes no {kind}" if any(isinstance(action, _MAKING) for action in actions) else ""


def _does(step: ReviewedStep) -> str:
    """Return `makes` or `drops` where the function does nothing else, '' where it does both or other things."""
    actions = [action for _, action in step.actions()]
    if any(isinstance(action, _OTHER | act.RenameTable | act.RenameColumn) for action in actions):
        return ""
    makes, drops = (any(isinstance(a, kinds) for a in actions) for kinds in (_MAKING, _DROPPING))
    return "" if makes == drops else "makes" if makes else "drops"


def _named(slug: str, title: str, body: str, *, flagged: bool) -> Example:
    given = ("CREATE TABLE users (id integer PRIMARY KEY, name varchar(20) NOT NULL)",)
    return Example(given=given, body=body, file=f"e1_{slug}.py", docstring=title, flagged=flagged)


_INDEX = 'op.create_index("uq_users_name", "users", ["name"], unique=True)'
_ADD, _DROP = 'op.add_column("users", sa.Column("email", sa.String(50)))', 'op.drop_column("users", "name")'

RULE = Rule(
    name="name-operation-mismatch",
    severity=Severity.WARNING,
    engines=EVERY_ENGINE,
    source="https://alembic.sqlalchemy.org/en/latest/tutorial.html#create-a-migration-script",
    findings=findings,
    baseline=True,
    examples=(
        _named("add_users_name", "Add users.name.", _DROP, flagged=True),
        _named("drop_users_email", "Drop users.email.", _ADD, flagged=True),
        _named("users_email", "Remove users.email.", _ADD, flagged=True),
        _named("create_index_on_users_email", "Users get an email.", _ADD, flagged=True),
        _named("users_email", "Add a table of emails.", _ADD, flagged=True),
        _named("add_users_email", "Add users.email.", _ADD, flagged=False),
        _named("add_unique_index_users_name", "Index the names.", _INDEX, flagged=False),
        _named("drop_users_name", "Drop users.name.", _DROP, flagged=False),
        _named("remove_default", "Replace users.name by users.email.", f"{_ADD}\n{_DROP}", flagged=False),
    ),
)
