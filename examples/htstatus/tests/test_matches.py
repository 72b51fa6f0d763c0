from datetime import datetime

import pytest
from conftest import TEAM

LEAGUE, CUP = 1, 3
FIRST, SECOND, THIRD, OTHER = range(990_000_001, 990_000_005)


@pytest.fixture(autouse=True)
def season(add, models):
    def match(ht_id, day, kind, home, away):
        teams = {"home_team_id": home, "home_team": "Home", "away_team_id": away, "away_team": "Away"}
        return models.Match(ht_id=ht_id, kickoff=datetime(2026, 1, day, 14), type=kind, **teams)  # noqa: DTZ001

    add(
        match(FIRST, 4, LEAGUE, TEAM, TEAM + 1),
        match(SECOND, 7, CUP, TEAM + 2, TEAM),
        match(THIRD, 11, LEAGUE, TEAM + 3, TEAM),
        match(OTHER, 11, LEAGUE, TEAM + 1, TEAM + 2),
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
