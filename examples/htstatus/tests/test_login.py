from conftest import PASSWORD


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
