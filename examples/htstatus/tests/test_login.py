import hashlib

import pytest
from conftest import PASSWORD
from werkzeug.security import generate_password_hash


def log_in(browser, user, password=PASSWORD):
    return browser.post("/login", json={"login": user.login, "password": password})


def test_login_accepts_a_hash_by_werkzeug(visitor, manager):
    assert log_in(visitor, manager).json["ht_id"] == manager.ht_id


def test_login_accepts_a_bare_sha256_of_htstatus_1(visitor, legacy_manager):
    assert log_in(visitor, legacy_manager).json["ht_id"] == legacy_manager.ht_id


def test_login_refuses_a_wrong_password(visitor, manager):
    assert log_in(visitor, manager, "wrong").status_code == 401


def test_login_refuses_a_wrong_password_against_a_bare_sha256(visitor, legacy_manager):
    assert log_in(visitor, legacy_manager, "wrong").status_code == 401


def test_login_refuses_an_unknown_user(visitor, db):
    assert visitor.post("/login", json={"login": "nobody", "password": PASSWORD}).status_code == 401


def test_login_writes_down_when(visitor, manager, db):
    assert manager.last_login is None
    log_in(visitor, manager)
    assert manager.last_login is not None


def test_a_refused_login_opens_no_session(visitor, manager):
    log_in(visitor, manager, "wrong")
    assert visitor.get("/settings").status_code == 401


def test_a_changed_password_is_the_one_that_counts(browser, manager):
    browser.put("/settings", json={"password": "new password"})
    assert log_in(browser, manager).status_code == 401
    assert log_in(browser, manager, "new password").status_code == 200


@pytest.fixture
def wrapped_manager(legacy_manager, db):
    """A user whose bare SHA-256 has a hash around it, as the migration makes it."""
    legacy_manager.password_wrapped = generate_password_hash(legacy_manager.password, "pbkdf2:sha256:1")
    db.session.commit()
    return legacy_manager


@pytest.mark.since("v4")
def test_login_accepts_a_hash_around_a_bare_sha256(visitor, wrapped_manager):
    assert log_in(visitor, wrapped_manager).json["ht_id"] == wrapped_manager.ht_id


@pytest.mark.since("v4")
def test_login_checks_the_hash_around_a_bare_sha256(visitor, wrapped_manager):
    assert log_in(visitor, wrapped_manager, "wrong").status_code == 401
    assert log_in(visitor, wrapped_manager, hashlib.sha256(PASSWORD.encode()).hexdigest()).status_code == 401


@pytest.mark.since("v4")
def test_a_password_that_an_older_release_changed_counts_instead_of_the_hash_around_the_old_one(
    visitor, wrapped_manager, db
):
    wrapped_manager.password = generate_password_hash("new password", "pbkdf2:sha256:1")
    db.session.commit()
    assert log_in(visitor, wrapped_manager).status_code == 401
    assert log_in(visitor, wrapped_manager, "new password").status_code == 200


@pytest.mark.since("v4")
def test_a_locked_manager_does_not_get_in(visitor, manager, db):
    manager.role = "locked"
    db.session.commit()
    assert log_in(visitor, manager).status_code == 403
    assert visitor.get("/settings").status_code == 401


@pytest.mark.since("v4")
def test_a_wrong_password_does_not_tell_that_a_manager_is_locked(visitor, manager, db):
    manager.role = "locked"
    db.session.commit()
    assert log_in(visitor, manager, "wrong").status_code == 401


@pytest.mark.since("v4")
def test_the_session_of_a_manager_who_gets_locked_ends(browser, manager, db):
    manager.role = "locked"
    db.session.commit()
    assert browser.get("/settings").status_code == 401
