from __future__ import annotations

import sys
from pathlib import Path

import pytest

from handrail.host.urls import resolve


def test_the_python_of_a_command_is_the_one_handrail_runs_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    printed = resolve("command:python -c 'import sys; print(sys.prefix)'", environment="staging", root=tmp_path)
    assert printed == sys.prefix
