import pytest
from conftest import MANAGER, PLAYER, RIVAL, new_user
from sqlalchemy.exc import IntegrityError

pytestmark = pytest.mark.since("v3")


@pytest.fixture
def new_group(browser):
    def create(name, order=0):
        return browser.post("/groups", json={"name": name, "order": order, "text_colour": "#ff0000"}).json["id"]

    return create


def listed(browser):
    return {group["name"]: group["players"] for group in browser.get("/groups").json}


def test_groups_are_listed_in_their_order_with_their_colours(browser, new_group):
    new_group("Second", order=2)
    new_group("First", order=1)
    groups = browser.get("/groups").json
    assert [(group["name"], group["text_colour"]) for group in groups] == [("First", "#ff0000"), ("Second", "#ff0000")]


def test_a_marked_player_is_in_the_group(browser, new_group):
    browser.put(f"/groups/{new_group('Stars')}/players/{PLAYER}")
    assert listed(browser) == {"Stars": [PLAYER]}


def test_a_player_moves_from_one_group_to_the_other(browser, new_group):
    browser.put(f"/groups/{new_group('Stars')}/players/{PLAYER}")
    browser.put(f"/groups/{new_group('Bench', order=1)}/players/{PLAYER}")
    assert listed(browser) == {"Stars": [], "Bench": [PLAYER]}


def test_a_deleted_group_takes_its_marks_along(browser, new_group, db, models):
    group = new_group("Stars")
    browser.put(f"/groups/{group}/players/{PLAYER}")
    browser.delete(f"/groups/{group}")
    assert listed(browser) == {}
    assert db.session.scalar(db.select(models.PlayerMark).filter_by(group_id=group)) is None


def test_another_managers_group_is_not_found(browser, add, models):
    add(new_user(models, RIVAL, "0" * 64))
    group = add(models.SquadGroup(user_id=RIVAL, name="Secret", order=0))
    assert browser.put(f"/groups/{group.id}/players/{PLAYER}").status_code == 404
    assert browser.delete(f"/groups/{group.id}").status_code == 404


@pytest.mark.since("v8")
def test_a_second_mark_of_a_player_is_refused_by_the_database(browser, new_group, db, models):
    stars, bench = new_group("Stars"), new_group("Bench", order=1)
    browser.put(f"/groups/{stars}/players/{PLAYER}")
    db.session.add(models.PlayerMark(user_id=MANAGER, group_id=bench, player_id=PLAYER))
    with pytest.raises(IntegrityError):
        db.session.commit()
    db.session.rollback()
    assert listed(browser) == {"Stars": [PLAYER], "Bench": []}
