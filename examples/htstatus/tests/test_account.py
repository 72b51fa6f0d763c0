import csv
import hashlib
import io
import json
from datetime import date

import pytest
from conftest import MANAGER, TEAM


def test_settings_keep_the_name_and_the_columns(browser):
    browser.put("/settings", json={"username": "Coach", "columns": {"players": ["form", "tsi"]}})
    assert browser.get("/settings").json == {"username": "Coach", "columns": {"players": ["form", "tsi"]}}


def test_settings_leave_alone_what_is_not_sent(browser):
    browser.put("/settings", json={"columns": {"players": ["age"]}})
    assert browser.get("/settings").json["username"] == "Tester"


@pytest.fixture
def remark(browser):
    return browser.post("/feedback", json={"text": "More graphs"}).json["id"]


def score(browser, remark):
    return {row["id"]: row["score"] for row in browser.get("/feedback").json}.get(remark)


def test_feedback_is_listed_without_votes_at_first(browser, remark):
    assert score(browser, remark) == 0


def test_a_vote_counts(browser, remark):
    browser.put(f"/feedback/{remark}/vote", json={"up": True})
    assert score(browser, remark) == 1


def test_a_second_vote_replaces_the_first(browser, remark):
    browser.put(f"/feedback/{remark}/vote", json={"up": True})
    browser.put(f"/feedback/{remark}/vote", json={"up": False})
    assert score(browser, remark) == -1


def test_a_vote_on_unknown_feedback_is_not_found(browser):
    assert browser.put("/feedback/2000000000/vote", json={"up": True}).status_code == 404


@pytest.mark.since("v2")
def test_an_administrator_archives_feedback(browser, remark, manager, db):
    manager.role = "admin"
    db.session.commit()
    browser.put(f"/feedback/{remark}/archived")
    assert score(browser, remark) is None


@pytest.mark.since("v2")
def test_a_manager_does_not_archive_feedback(browser, remark):
    assert browser.put(f"/feedback/{remark}/archived").status_code == 403
    assert score(browser, remark) == 0


@pytest.fixture
def squad(add, snapshot):
    add(snapshot(date(2026, 1, 5), last_name="O'Neill, Jr."), snapshot(date(2026, 1, 5), 990_001_001, form=8))


def export(browser, kind):
    return browser.get(f"/export/players.{kind}?team={TEAM}")


def test_an_export_to_csv_has_every_player(browser, squad, form):
    rows = list(csv.DictReader(io.StringIO(export(browser, "csv").text)))
    assert [(row["last_name"], row[form]) for row in rows] == [("O'Neill, Jr.", "5"), ("Berg", "8")]


def test_an_export_to_json_is_what_the_list_shows(browser, squad):
    assert json.loads(export(browser, "json").data) == browser.get(f"/players?team={TEAM}").json


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_an_export_carries_the_checksum_that_was_written_down(browser, squad, db, models, kind):
    answer = export(browser, kind)
    made = db.session.scalars(db.select(models.Export).filter_by(user_id=MANAGER)).one()
    assert hashlib.sha256(answer.data).hexdigest() == answer.headers["X-Content-SHA256"] == made.sha256
    assert made.made_at is not None


def test_an_export_of_an_unknown_kind_is_not_found(browser):
    assert export(browser, "xml").status_code == 404


@pytest.fixture
def put_aside(browser, add, models):
    return add(models.Quarantine(source="players", reason="transfer_flag does not cast", row={"transfer_flag": 7}))


@pytest.mark.since("v5")
def test_an_administrator_looks_through_the_quarantine(browser, put_aside, manager, db):
    manager.role = "admin"
    db.session.commit()
    listed = {row["id"]: row["row"] for row in browser.get("/quarantine").json}
    assert listed[put_aside.id] == {"transfer_flag": 7}


@pytest.mark.since("v5")
def test_a_manager_does_not_see_the_quarantine(browser, put_aside):
    assert browser.get("/quarantine").status_code == 403
