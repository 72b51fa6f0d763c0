from __future__ import annotations

from pathlib import Path

import pytest

from handrail.errors import SettingsInvalid
from handrail.host.secrets import mask
from handrail.host.urls import resolve


def _ini(root: Path, text: str) -> None:
    (root / "alembic.ini").write_text(text)


def test_the_url_of_the_ini_is_read_as_alembic_reads_it(tmp_path: Path) -> None:
    _ini(tmp_path, "[DEFAULT]\nname = app\n[alembic]\nsqlalchemy.url = sqlite:///%(here)s/%(name)s%%20x.db\n")
    assert resolve("ini:alembic.ini", environment="staging", root=tmp_path) == f"sqlite:///{tmp_path}/app%20x.db"


def test_a_password_in_the_ini_serves_development_only(tmp_path: Path) -> None:
    _ini(tmp_path, "[alembic]\nsqlalchemy.url = postgresql://app:canary77@h/x\n")
    assert "canary77" in resolve("ini:alembic.ini", environment="development", root=tmp_path)
    assert mask("canary77") == "***"
    with pytest.raises(SettingsInvalid, match="password of production"):
        resolve("ini:alembic.ini", environment="production", root=tmp_path)


@pytest.mark.parametrize(
    "text", [None, "", "[alembic]\n", "[alembic]\nsqlalchemy.url = %(nothing)s\n", "[alembic\n", "x = 1\n"]
)
def test_an_ini_without_a_url_is_refused_with_what_to_write(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        _ini(tmp_path, text)
    with pytest.raises(SettingsInvalid) as refused:
        resolve("ini:alembic.ini", environment="development", root=tmp_path)
    assert "alembic.ini" in refused.value.why
    assert "env:DATABASE_URL" in refused.value.fix
