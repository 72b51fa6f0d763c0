from __future__ import annotations

from contextlib import suppress
from datetime import time, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handrail.config import Environment, LockPolicy, OnFailure, Settings, duration, load, window
from handrail.errors import SettingsInvalid, UsageRefused

_FULL = """
alembic = "db/alembic.ini"
journal = "runs.db"
rules_from = "abc"

[environments.development]
url = "env:DATABASE_URL"

[environments.production]
url = "file:url"
migration_url = "command:pass show db"
protected = true
requires = ["window"]
window = "Mon-Fri 22:00-05:00 Europe/Berlin"
lock = { timeout = "50ms", budget = "1h" }
oldest_transaction = "2d"
lease_wait = "1.5s"
on_failure = "stop"
"""


def _loaded(root: Path, text: str) -> Settings:
    (root / "handrail.toml").write_text(text)
    return load(root)


def test_every_setting_becomes_a_value_and_the_rest_has_its_default(tmp_path: Path) -> None:
    settings = _loaded(tmp_path, _FULL)
    assert (settings.root, settings.alembic, settings.journal) == (tmp_path, "db/alembic.ini", "runs.db")
    assert settings.environment("development") == Environment(name="development", url="env:DATABASE_URL")
    production = settings.environment("production")
    assert production.protected is True
    assert production.requires == ("window",)
    assert production.window == window("Mon-Fri 22:00-05:00 Europe/Berlin")
    assert production.lock == LockPolicy(timeout=timedelta(milliseconds=50), budget=timedelta(hours=1))
    assert (production.oldest_transaction, production.lease_wait) == (timedelta(days=2), timedelta(seconds=1.5))
    assert production.on_failure is OnFailure.STOP


def test_pyproject_and_handrail_toml_mean_the_same(tmp_path: Path) -> None:
    own, inside = tmp_path / "own", tmp_path / "inside"
    own.mkdir()
    inside.mkdir()
    text = _FULL.replace("[environments", "[tool.handrail.environments")
    (inside / "pyproject.toml").write_text(f"[project]\nname = 'x'\n[tool.handrail]{text}")
    assert load(inside).environments == _loaded(own, _FULL).environments


def test_the_only_environment_needs_no_name_and_several_do(tmp_path: Path) -> None:
    one = _loaded(tmp_path, '[environments.main]\nurl = "env:X"')
    assert one.environment(None).name == "main"
    with pytest.raises(UsageRefused) as caught:
        _loaded(tmp_path, _FULL).environment(None)
    assert "development, production" in caught.value.why


def test_a_default_environment_is_meant_where_none_is_named(tmp_path: Path) -> None:
    settings = _loaded(tmp_path, f'default_environment = "development"\n{_FULL}')
    assert settings.environment(None).name == "development"
    assert settings.environment("production").name == "production"


@pytest.mark.parametrize(("name", "why"), [("production", "is protected"), ("developement", "no environment")])
def test_a_default_environment_is_there_and_not_protected(name: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        _loaded(tmp_path, f'default_environment = "{name}"\n{_FULL}')
    assert "default_environment" in caught.value.what
    assert why in f"{caught.value.why}"


@given(
    st.sampled_from([("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600), ("d", 86400)]),
    st.integers(min_value=0, max_value=10_000),
)
def test_a_time_span_means_its_number_times_its_unit(unit: tuple[str, float], number: int) -> None:
    assert duration(f"{number}{unit[0]}") == timedelta(seconds=number * unit[1])
    assert duration(f" {number} {unit[0]} ") == duration(f"{number}{unit[0]}")


@given(st.one_of(st.text(max_size=12), st.integers(), st.none(), st.lists(st.integers(), max_size=2)))
def test_whatever_is_no_time_span_is_refused_and_nothing_else_is_raised(value: object) -> None:
    with suppress(ValueError):
        assert duration(value) >= timedelta(0)


@given(st.integers(min_value=10**12, max_value=10**30))
def test_a_time_span_of_ages_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="longer than"):
        duration(f"{number}d")


@given(st.text(max_size=40))
def test_whatever_is_no_window_is_refused_and_nothing_else_is_raised(value: str) -> None:
    with suppress(ValueError):
        assert window(value).days


@given(
    st.lists(st.sampled_from(["Mon", "tue", "WED", "Thu", "Fri", "Sat", "Sun"]), min_size=1, max_size=2),
    st.times().map(lambda t: t.replace(second=0, microsecond=0)),
    st.times().map(lambda t: t.replace(second=0, microsecond=0)),
)
def test_a_window_holds_the_days_and_times_it_was_written_with(days: list[str], opens: time, closes: time) -> None:
    found = window(f"{'-'.join(days)} {opens:%H:%M}-{closes:%H:%M}")
    assert (found.opens, found.closes, found.timezone) == (opens, closes, "UTC")
    if len(days) == 1:
        assert len(found.days) == 1


@pytest.mark.parametrize(
    ("written", "days"),
    [("Mon-Fri", {0, 1, 2, 3, 4}), ("Sat-Mon", {5, 6, 0}), ("Wed", {2}), ("Mon-Sun", set(range(7)))],
)
def test_a_range_of_days_runs_forward_over_the_end_of_the_week(written: str, days: set[int]) -> None:
    assert window(f"{written} 09:00-17:00").days == days


@pytest.mark.parametrize(
    ("key", "nearest"),
    [("alembik", "alembic"), ("enviroments", "environments"), ("Journal", "journal")],
)
def test_an_unknown_key_names_the_nearest_known_one(key: str, nearest: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        _loaded(tmp_path, f'{key} = "x"')
    assert caught.value.fix == f"did you mean {nearest!r}?"


def test_an_unknown_key_that_is_near_to_none_is_to_be_removed(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        _loaded(tmp_path, "[environments.main]\nurl = 'env:X'\nzzzzz = 1")
    assert caught.value.fix == "remove environments.main.zzzzz"
    assert "migration_url" in caught.value.why


@pytest.mark.parametrize("key", ["root", "name"])
def test_what_handrail_sets_itself_is_no_key(key: str, tmp_path: Path) -> None:
    table = "" if key == "root" else "[environments.main]\nurl = 'env:X'\n"
    with pytest.raises(SettingsInvalid) as caught:
        _loaded(tmp_path, f"{table}{key} = 'x'")
    assert "unknown key" in caught.value.what
