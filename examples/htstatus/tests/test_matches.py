from datetime import datetime

import pytest
from conftest import PLAYER, TEAM

LEAGUE, CUP = 1, 3
FIRST, SECOND, THIRD, OTHER = range(990_000_001, 990_000_005)


@pytest.fixture(autouse=True)
def season(add, match):
    def on(day):
        return datetime(2026, 1, day, 14)  # noqa: DTZ001 - every table keeps UTC without a zone

    add(
        match(FIRST, on(4), LEAGUE, TEAM, TEAM + 1),
        match(SECOND, on(7), CUP, TEAM + 2, TEAM),
        match(THIRD, on(11), LEAGUE, TEAM + 3, TEAM),
        match(OTHER, on(11), LEAGUE, TEAM + 1, TEAM + 2),
    )


def history(browser, query=""):
    return [match["ht_id"] for match in browser.get(f"/matches?team={TEAM}{query}").json]


def test_the_history_has_matches_at_home_and_away_newest_first(browser):
    assert history(browser) == [THIRD, SECOND, FIRST]


def test_the_history_can_be_of_one_kind(browser):
    assert history(browser, f"&type={LEAGUE}") == [THIRD, FIRST]


def test_the_history_can_begin_at_a_day(browser):
    assert history(browser, "&since=2026-01-07") == [THIRD, SECOND]


def test_filters_hold_together(browser):
    assert history(browser, f"&type={LEAGUE}&since=2026-01-07") == [THIRD]


def test_a_kind_that_nobody_played_has_no_matches(browser):
    assert history(browser, "&type=7") == []


@pytest.mark.since("v7")
def test_the_history_names_the_kind(browser):
    assert {match["type"] for match in browser.get(f"/matches?team={TEAM}").json} == {"league", "cup"}


@pytest.mark.since("v6")
def test_a_deleted_match_takes_its_appearances_along(browser, db, models, add):
    add(models.Appearance(match_id=FIRST, player_id=PLAYER, role=100))
    db.session.delete(db.session.get(models.Match, FIRST))
    db.session.commit()
    assert db.session.scalar(db.select(models.Appearance).filter_by(match_id=FIRST)) is None
