"""`handrail new` and the words it is given."""

from __future__ import annotations

from pathlib import Path

import pytest
from refusal import refusal
from workbench import Workbench


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("", "has no message"),
        ("   ", "has no message"),
        ("two\nlines", "cannot be the title"),
        ('quotes """ inside', "cannot be the title"),
        ("a \\N backslash", "cannot be the title"),
        ("a \x1b[31m colour", "cannot be the title"),
    ],
)
def test_a_message_that_cannot_be_a_title_is_refused(message: str, reason: str, lite_bench: Workbench) -> None:
    assert reason in refusal(lite_bench, "new", "-m", message, "--empty")
    assert len(list(lite_bench.versions.glob("*.py"))) == 1


def test_the_usual_form_is_suggested_and_not_asked_for(lite_bench: Workbench) -> None:
    (lite_bench.root / "migrations" / "script.py.mako").write_text(
        '"""${message}"""\nrevision = ${repr(up_revision)}\ndown_revision = ${repr(down_revision)}\n'
        "\n\ndef upgrade():\n    ${upgrades if upgrades else 'pass'}\n"
        "\n\ndef downgrade():\n    ${downgrades if downgrades else 'pass'}\n"
    )
    done = lite_bench.run("new", "-m", "Add the E-Mail of users", "--empty")
    assert done.returncode == 0, done.stderr
    assert "lowercase_with_underscores: -m add_the_e_mail_of_users" in done.stderr
    text = Path(done.stdout.strip()).read_text()
    assert text.startswith('"""Add the E-Mail of users\n\nImpact: <')
    done = lite_bench.run("new", "-m", "add_email", "--empty")
    assert "lowercase" not in done.stderr


def test_a_project_without_a_template_is_told_so(lite_bench: Workbench) -> None:
    told = refusal(lite_bench, "new", "-m", "add_email", "--empty")
    assert "script.py.mako" in told


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("${no_such_name.upper()}", "could not be drawn up"),
        ("def upgrade(:", "cannot be read"),
        ('"""${message}"""', "it names no revision"),
    ],
)
def test_a_template_that_makes_no_revision_writes_nothing(template: str, reason: str, lite_bench: Workbench) -> None:
    (lite_bench.root / "migrations" / "script.py.mako").write_text(template)
    assert reason in refusal(lite_bench, "new", "-m", "add_email", "--empty")
    assert len(list(lite_bench.versions.glob("*.py"))) == 1


def test_alembic_settings_that_cannot_be_used_are_refused(lite_bench: Workbench) -> None:
    ini = lite_bench.root / "alembic.ini"
    ini.write_text(ini.read_text() + "truncate_slug_length = long\n")
    assert "invalid literal for int()" in refusal(lite_bench, "new", "-m", "add_email", "--empty")


def test_a_broken_history_is_not_built_upon(lite_bench: Workbench) -> None:
    lite_bench.revision("bbb2", "zzz9", "pass")
    assert "zzz9" in refusal(lite_bench, "new", "-m", "add_email", "--empty")
