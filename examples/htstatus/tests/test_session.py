from datetime import timedelta

import pytest
from conftest import MANAGER


@pytest.fixture
def session(browser, db, models):
    return db.session.scalars(db.select(models.UserSession).filter_by(user_id=MANAGER)).one()


def test_pages_are_closed_without_a_session(visitor):
    assert visitor.get("/players?team=1").status_code == 401


def test_an_unknown_token_opens_nothing(visitor, db):
    visitor.set_cookie("htstatus_session", "made up")
    assert visitor.get("/settings").status_code == 401


def test_a_request_renews_the_session(browser, session, db, models):
    session.expires = soon = models.now() + timedelta(minutes=1)
    db.session.commit()
    assert browser.get("/settings").status_code == 200
    assert session.expires > soon


def test_an_expired_session_is_closed_and_removed(browser, session, db, models):
    session.expires = models.now() - timedelta(seconds=1)
    db.session.commit()
    assert browser.get("/settings").status_code == 401
    assert db.session.scalar(db.select(models.UserSession).filter_by(user_id=MANAGER)) is None


def test_logging_out_ends_the_session_on_the_server(browser, session):
    token = session.token
    assert browser.post("/logout").status_code == 200
    browser.set_cookie("htstatus_session", token)
    assert browser.get("/settings").status_code == 401
