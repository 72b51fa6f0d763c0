"""Every example of every rule, run on every engine that the rule names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent, indent

import pytest

from handrail import registry, rules
from handrail.engines.base import Purpose
from handrail.errors import StepFailed
from handrail.flows import apply
from handrail.flows.apply import ApplyRequest
from handrail.flows.ports import Ports, project_ports, target_ports
from handrail.model.rule import Example, Rule

SHELF = sorted(path.stem for path in Path(rules.__path__[0]).glob("[!_]*.py"))
_ENV_PY = """
from alembic import context
from sqlalchemy import create_engine

with create_engine("sqlite://").connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
_REVISION = '''"""The example."""

from alembic import op
import sqlalchemy as sa

revision = "e1"
down_revision = None


def upgrade():
{body}


def downgrade():
    pass
'''


def module(stem: str) -> object:
    return __import__(f"handrail.rules.{stem}", fromlist=["RULE"])


def executed() -> Iterator[object]:
    """Each example of the shelf on each engine, with a readable name."""
    for name, rule in registry.rules().items():
        for number, example in enumerate(rule.examples, start=1):
            for engine in sorted(rule.engines):
                claim = "flagged" if example.flagged else "clean"
                yield pytest.param(rule, example, engine, id=f"{name}-{number}-{claim}-{engine}")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Ports:
    """A project of one revision, the example, on a fresh database in which the scene is set."""
    example: Example = request.getfixturevalue("example")
    url: str = request.getfixturevalue(f"{request.getfixturevalue('engine')}_url")
    monkeypatch.setenv("HANDRAIL_TEST_URL", url)
    versions = tmp_path / "migrations" / "versions"
    versions.mkdir(parents=True)
    body = indent(dedent(example.body).strip(), "    ")
    (versions / "e1_example.py").write_text(_REVISION.format(body=body))
    (tmp_path / "migrations" / "env.py").write_text(_ENV_PY)
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s/migrations\n")
    (tmp_path / "handrail.toml").write_text('[environments.main]\nurl = "env:HANDRAIL_TEST_URL"\n')
    read = project_ports(tmp_path)
    ports = target_ports(read, read.settings.environment("main"), emit=lambda _event: None)
    with ports.engine.connect(Purpose.STATE) as conn:
        for sql in example.given:
            conn.exec_driver_sql(sql)
    return ports


@pytest.mark.parametrize(("rule", "example", "engine"), list(executed()))
def test_an_example_is_flagged_as_claimed_and_ends_as_claimed(
    rule: Rule, example: Example, engine: str, project: Ports
) -> None:
    rehearsed, _ = apply.dry_run(project, ApplyRequest())
    found = [finding for finding in rehearsed.plan.findings if finding.rule == rule.name]
    assert bool(found) is example.flagged
    assert all(f.what and f.why and f.fix and f.revision == "e1" and f.severity is rule.severity for f in found)
    assert all(f.place is None or f.place.file.endswith("e1_example.py") for f in found)

    if example.flagged and rule.name.startswith("fail-"):
        with pytest.raises(StepFailed, match="failed"):
            apply.apply(project, ApplyRequest(), lambda _plan: None)
    else:
        outcome = apply.apply(project, ApplyRequest(), lambda _plan: None).outcome
        assert outcome.plan.goal == ("e1",)


@pytest.mark.parametrize("stem", SHELF)
def test_a_rule_is_named_by_its_file_and_explains_itself(stem: str) -> None:
    rule: Rule = vars(module(stem))["RULE"]
    assert rule.name == stem.replace("_", "-")
    assert registry.rules()[rule.name] is rule
    assert rule.source.startswith("https://")
    assert rule.engines <= {"postgresql", "sqlite"}
    assert rule.engines
    text = module(stem).__doc__ or ""
    for part in ("What happens:", "Why:", "The safe way:"):
        assert part in text
    assert {example.flagged for example in rule.examples} == {True, False}
