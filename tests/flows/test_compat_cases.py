"""What versions notice of some ninety changes: each in a revision of its own, on tables of its own."""

from __future__ import annotations

import json
from typing import Any

import pytest
from compat_cases import CASES, body, history
from workbench import Workbench

_ORDER = ("read fails", "write fails", "minimal insert fails", "delete fails", "unknown", "works")


def _troubles(row: dict[str, Any], number: int) -> list[dict[str, Any]]:
    begun = [t for t in row["cells"][0]["troubles"] if t["since"] == f"r{number:03}"]
    return [t for t in begun if t["trial"]["table"].startswith(f"c{number:03}_")]


@pytest.mark.slow
def test_each_change_has_its_result_its_cause_and_touches_no_other_table(pg_bench: Workbench) -> None:
    models, first, changes = history()
    (pg_bench.root / "app.py").write_text(models)
    pg_bench.revision("r000", None, body(first))
    for number, change in enumerate(changes, 1):
        pg_bench.revision(f"r{number:03}", f"r{number - 1:03}", body(change))
    done = pg_bench.run("versions", "register", "v1", "--models", "app:Base", "--at", "r000")
    assert done.returncode == 0, done.stderr

    rows = json.loads(pg_bench.run("compat", "--format", "json").stdout)["matrix"]["rows"]

    assert rows[0]["cells"][0]["result"] == "works", rows[0]["cells"][0]["troubles"]
    wrong = {}
    for number, (_, name, _, wanted) in enumerate(CASES, 1):
        troubles = _troubles(rows[number], number)
        found = min((t["trial"]["result"] for t in troubles), key=_ORDER.index, default="works")
        begun = [t for t in rows[number]["cells"][0]["troubles"] if t["since"] == f"r{number:03}"]
        if found != wanted or len(begun) != len(troubles) or not all(t["operation"] for t in troubles):
            wrong[name] = (found, wanted, [(t["trial"]["message"], t["operation"]) for t in begun])
    assert not wrong
