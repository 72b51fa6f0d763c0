from datetime import date

from conftest import PLAYER, TEAM

MONDAY, TUESDAY, WEDNESDAY = date(2026, 1, 5), date(2026, 1, 6), date(2026, 1, 7)


def training(browser, since, until):
    return browser.get(f"/training?team={TEAM}&since={since}&until={until}").json


def test_the_page_lists_skills_that_changed_between_two_snapshots(browser, add, snapshot):
    add(snapshot(MONDAY, scoring=5, keeper=2), snapshot(TUESDAY, scoring=6, keeper=2))
    assert training(browser, MONDAY, TUESDAY) == [{"player": PLAYER, "skill": "scoring", "old": 5, "new": 6}]


def test_the_page_takes_the_snapshot_before_a_day_without_one(browser, add, snapshot):
    add(snapshot(MONDAY, winger=5), snapshot(WEDNESDAY, winger=7))
    assert training(browser, TUESDAY, WEDNESDAY) == [{"player": PLAYER, "skill": "winger", "old": 5, "new": 7}]


def test_the_page_is_empty_when_nothing_changed(browser, add, snapshot):
    add(snapshot(MONDAY), snapshot(TUESDAY, form=8))
    assert training(browser, MONDAY, TUESDAY) == []


def test_a_player_who_joined_in_between_has_no_change(browser, add, snapshot):
    add(snapshot(TUESDAY))
    assert training(browser, MONDAY, TUESDAY) == []
