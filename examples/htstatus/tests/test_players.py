from datetime import date, datetime

import pytest
from conftest import PLAYER, TEAM

MONDAY, TUESDAY = date(2026, 1, 5), date(2026, 1, 6)


def test_the_list_shows_each_player_as_of_the_newest_day(browser, add, snapshot, form):
    add(snapshot(MONDAY, form=3), snapshot(TUESDAY, form=7), snapshot(MONDAY, PLAYER + 1, form=4))
    listed = browser.get(f"/players?team={TEAM}").json
    assert [(player["ht_id"], player[form]) for player in listed] == [(PLAYER, 7), (PLAYER + 1, 4)]


def test_the_list_leaves_out_other_teams(browser, add, snapshot):
    add(snapshot(MONDAY, team_id=TEAM + 1))
    assert browser.get(f"/players?team={TEAM}").json == []


@pytest.mark.until("v6")
def test_the_list_shows_a_player_without_a_name(browser, add, snapshot):
    add(snapshot(MONDAY, first_name=None, last_name=None))
    assert browser.get(f"/players?team={TEAM}").json[0]["last_name"] is None


def test_the_detail_shows_the_trend_since_the_first_day(browser, add, snapshot, form):
    add(snapshot(MONDAY, passing=5, form=6), snapshot(TUESDAY, passing=7, form=4))
    detail = browser.get(f"/players/{PLAYER}").json
    assert detail["player"]["data_date"] == "2026-01-06"
    assert detail["days"] == ["2026-01-05", "2026-01-06"]
    assert {skill: change for skill, change in detail["trend"].items() if change} == {"passing": 2, form: -2}


def test_the_detail_shows_the_stars_of_past_matches(browser, add, snapshot, models, match):
    stars = ((990_000_001, 4.5), (990_000_002, 6.0))
    rows = [models.Appearance(match_id=played, player_id=PLAYER, role=100, stars=given) for played, given in stars]
    add(*(match(played, datetime(2026, 1, 4)) for played, _ in stars))  # noqa: DTZ001 - UTC without a zone
    add(snapshot(MONDAY), *rows)
    assert browser.get(f"/players/{PLAYER}").json["stars"] == [4.5, 6.0]


def test_an_unknown_player_is_not_found(browser):
    assert browser.get(f"/players/{PLAYER}").status_code == 404


@pytest.mark.since("v5")
def test_the_list_says_who_is_listed_for_transfer(browser, add, snapshot):
    add(snapshot(MONDAY, transfer_listed=True), snapshot(MONDAY, PLAYER + 1))
    assert [player["transfer_listed"] for player in browser.get(f"/players?team={TEAM}").json] == [True, False]
