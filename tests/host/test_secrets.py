from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import URL

from handrail.errors import SettingsInvalid
from handrail.host import secrets
from handrail.host.urls import resolve

_PLAIN = st.characters(codec="ascii", exclude_categories=["Cc"])
_WITHOUT_SPACE = st.characters(codec="ascii", exclude_categories=["Cc", "Zs"])
#: Texts without the sign that ends a scheme, and without the word that begins a DSN's password.
_HARMLESS = st.text(_PLAIN, max_size=60).filter(lambda t: "://" not in t and "password" not in t.lower())


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_known", set())


def _url(user: str, password: str) -> str:
    url = URL.create("postgresql+psycopg", user, password, "127.0.0.1", 5432, "shop")
    return url.render_as_string(hide_password=False)


@given(st.text(_WITHOUT_SPACE, min_size=1, max_size=20).map(lambda p: f"#{p}#"), st.text("abc", min_size=1, max_size=4))
def test_a_password_in_a_url_never_survives(password: str, user: str) -> None:
    secrets._known.clear()  # noqa: SLF001 - hypothesis runs many examples within one test
    url = _url(user, password)
    masked = secrets.mask(f"cannot connect to {url} (retrying)")
    assert quote(password, safe="") not in masked
    assert masked == f"cannot connect to postgresql+psycopg://{user}:***@127.0.0.1:5432/shop (retrying)"


@given(st.text(min_size=4, max_size=20))
def test_a_remembered_secret_never_survives_in_any_way_of_writing_it(secret: str) -> None:
    secrets._known.clear()  # noqa: SLF001 - see above
    secrets.remember(secret)
    for written in (secret, quote(secret, safe=""), json.dumps(secret), repr(secret), _url("app", secret)):
        assert "***" in secrets.mask(f"<{written}>")
        assert secret not in secrets.mask(f"<{written}>")


@given(_HARMLESS)
def test_text_without_secrets_is_unchanged(text: str) -> None:
    secrets._known.clear()  # noqa: SLF001 - see above
    assert secrets.mask(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:////data/shop.db",
        "https://example.org:8080/health",
        "postgresql://app@db.example.org:5432/shop",
        "see file:///etc/hosts and mail me@example.org",
    ],
)
def test_urls_without_a_password_are_unchanged(text: str) -> None:
    assert secrets.mask(text) == text


@pytest.mark.parametrize(
    "dsn",
    [
        "host=db password=c4nary dbname=x",
        "host=db password = 'c4nary with \\' quote' dbname=x",
        "PASSWORD=c4nary",
        "connect(password='c4nary', user='x')",
    ],
)
def test_a_password_in_a_dsn_is_masked(dsn: str) -> None:
    assert "c4nary" not in secrets.mask(dsn)


def test_a_masked_json_document_is_still_one() -> None:
    document = json.dumps({"why": "host=db password=c4nary", "url": "pg://u:c4nary@h/x", "list": ["password=c4nary"]})
    assert json.loads(secrets.mask(document)) == {
        "why": "host=db password=***",
        "url": "pg://u:***@h/x",
        "list": ["password=***"],
    }


def test_short_texts_are_not_remembered_because_they_would_mask_words() -> None:
    secrets.remember("is")
    assert secrets.mask("this is it") == "this is it"


@pytest.mark.parametrize("password", ["c4n%ry@:/#x", "c4n%25ry%40", "c4n ry", "c@n@ry", "c4nary?x=1"])
def test_the_password_of_a_resolved_url_is_masked_however_badly_it_was_written(
    password: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("URL", f"postgresql://app:{password}@127.0.0.1/shop")
    resolve("env:URL", environment="production", root=tmp_path)
    assert password not in secrets.mask(f"the server said: {password!r} or {password}")


def test_a_url_comes_from_the_environment_a_file_a_command_or_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("URL", "postgres://app@db/shop")
    (tmp_path / "url").write_text("sqlite:///shop.db\n")
    found = [
        resolve(setting, environment="production", root=tmp_path)
        for setting in ("env:URL", "file:url", "command:cat url", "sqlite:///shop.db")
    ]
    assert found == ["postgresql://app@db/shop", "sqlite:///shop.db", "sqlite:///shop.db", "sqlite:///shop.db"]


def test_a_literal_password_is_for_development_only(tmp_path: Path) -> None:
    url = "postgresql://app:c4nary@db/shop"
    assert resolve(url, environment="development", root=tmp_path) == url
    with pytest.raises(SettingsInvalid):
        resolve(url, environment="staging", root=tmp_path)


def test_a_password_that_is_also_the_users_name_masks_no_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("U", "postgresql://postgres:postgres@localhost/app")
    url = resolve("env:U", environment="development", root=tmp_path)
    document = '{"engine": "postgresql", "user": "postgres"}'
    assert secrets.mask(document) == document
    assert secrets.mask(url) == "postgresql://postgres:***@localhost/app"
