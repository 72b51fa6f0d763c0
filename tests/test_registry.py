"""The shelves, and plug-ins that other packages bring: a scratch package on the path, as an installed one is seen."""

from __future__ import annotations

import os
from pathlib import Path
from textwrap import dedent

import pytest
from workbench import Workbench

from handrail import registry

_GATE = """
from handrail.model.gate import Gate
from handrail.model.run import Judgement
from handrail.model.verdict import Verdict

GATE = Gate(name="full-moon", judge=lambda facts: Judgement(
    name="full-moon", verdict=Verdict.FAIL, reason=f"no moon over {facts.plan.environment}"))
"""


@pytest.fixture
def bench(lite_bench: Workbench) -> Workbench:
    lite_bench.revision("aaa1", None, 'op.create_table("users", sa.Column("id", sa.Integer, primary_key=True))')
    return lite_bench


@pytest.fixture
def lite_bench(tmp_path: Path, sqlite_url: str) -> Workbench:
    return Workbench(tmp_path / "project", sqlite_url)


def _installed(root: Path, code: str, *, group: str = "handrail.gates", value: str = "moon:GATE") -> dict[str, str]:
    """Write a package with one entry point; return the environment in which it counts as installed."""
    site = root / "site"
    info = site / "moon-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "moon.py").write_text(dedent(code))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: moon\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\nfull-moon = {value}\n")
    return {"PYTHONPATH": os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])}


def _apply(bench: Workbench, env: dict[str, str]) -> tuple[int, str]:
    """Apply in a fresh interpreter, which alone sees packages that were installed a moment ago."""
    process = bench.start("apply", "--yes", env=env)
    _, err = process.communicate(timeout=60)
    return process.returncode, err


def test_the_shelves_hold_what_their_files_define() -> None:
    assert set(registry.gates()) >= {"window"}
    assert set(registry.checks()) >= {"revision-at-head", "schema-matches"}
    assert set(registry.rules()) >= {"fail-unnamed-constraint"}


def test_a_gate_of_an_installed_package_is_found_and_asked(tmp_path: Path, bench: Workbench) -> None:
    bench.settings('requires = ["full-moon"]')
    exit_, err = _apply(bench, _installed(tmp_path, _GATE))
    assert exit_ == 3
    assert "full-moon: no moon over main" in err


def test_a_gate_that_is_not_installed_never_passes(bench: Workbench) -> None:
    bench.settings('requires = ["full-moon"]')
    done = bench.run("apply", "--yes")
    assert done.returncode == 3
    assert "no gate of that name" in done.stderr


@pytest.mark.parametrize(
    ("code", "value", "words"),
    [
        ("raise RuntimeError('broken plug-in')", "moon:GATE", "RuntimeError: broken plug-in"),
        ("import sys\nsys.exit(4)", "moon:GATE", "SystemExit: 4"),
        ("import not_there", "moon:GATE", "No module named 'not_there'"),
        ("x = 1", "moon:GATE", "AttributeError"),
        ("GATE = 7", "moon:GATE", "moon:GATE is a int"),
    ],
)
def test_a_plug_in_that_cannot_be_loaded_is_named_with_its_package(
    code: str, value: str, words: str, tmp_path: Path, bench: Workbench
) -> None:
    bench.settings('requires = ["window"]')
    exit_, err = _apply(bench, _installed(tmp_path, code, value=value))
    assert exit_ == 2, err
    assert "the plug-in full-moon" in err
    assert "; nothing was touched" in err
    assert words in err
    assert "repair or uninstall moon" in err
    assert "Traceback" not in err
