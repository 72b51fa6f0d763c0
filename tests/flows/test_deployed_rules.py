"""Rules about older versions ask the registered ones: they are named, and what concerns none of them is a note."""

from __future__ import annotations

import json
from textwrap import dedent

from workbench import Workbench

_MODELS = """
from sqlalchemy import *
metadata = MetaData()
Table("users", metadata, Column("id", Integer, primary_key=True), Column("nick", String(40)), Column("age", Integer))
"""
_FIRST = """
op.create_table(
    "users",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("nick", sa.String(40)),
    sa.Column("age", sa.Integer),
)
"""


def register(bench: Workbench, name: str, models: str) -> None:
    (bench.root / "app.py").write_text(dedent(models))
    done = bench.run("versions", "register", name, "--models", "app:metadata", "--at", "aaa1")
    assert done.returncode == 0, done.stderr


def found(bench: Workbench, rule: str) -> tuple[str, str]:
    """The severity and the reason of that rule's finding."""
    document = json.loads(bench.run("review", "--all", "--format", "json").stdout)
    [finding] = [f for f in document["findings"] if f["rule"] == rule]
    return finding["severity"], finding["why"]


def test_a_contraction_names_the_versions_that_it_breaks_and_is_a_note_when_none_is_left(lite_bench: Workbench) -> None:
    lite_bench.revision("aaa1", None, _FIRST)
    change = """
    with op.batch_alter_table("users") as batch:
        batch.drop_column("nick")
        batch.add_column(sa.Column("born", sa.Date(), nullable=False))
    """
    lite_bench.revision("aaa2", "aaa1", change)
    unknown, why = found(lite_bench, "compat-drop-column")
    assert unknown == "error"
    assert "deployed" not in why
    register(lite_bench, "v1", _MODELS)
    register(lite_bench, "v2", _MODELS.replace('Column("nick", String(40)), ', ""))
    severity, why = found(lite_bench, "compat-drop-column")
    assert (severity, why.partition("; ")[2]) == ("error", "deployed and concerned: v1")
    _, why = found(lite_bench, "compat-insert-not-null")
    assert why.endswith("; deployed and concerned: v1, v2")
    assert lite_bench.run("versions", "retire", "v1").returncode == 0
    severity, why = found(lite_bench, "compat-drop-column")
    assert severity == "note"
    assert "no deployed version is concerned by its models" in why
