"""Updates from a CHPP source that answers by HTTP on this machine."""

from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest
from conftest import MANAGER, PLAYER, TEAM

MATCH = 990_000_001

TEAM_XML = f"""<HattrickData><FetchedDate>2026-01-06 08:00:00</FetchedDate>
<Team><TeamID>{TEAM}</TeamID><TeamName>FC Test</TeamName><LeagueLevelUnitName>V.128</LeagueLevelUnitName></Team>
</HattrickData>"""

PLAYERS_XML = f"""<HattrickData><FetchedDate>2026-01-06 08:00:00</FetchedDate><Team><TeamID>{TEAM}</TeamID><PlayerList>
<Player><PlayerID>{PLAYER}</PlayerID><FirstName>Ada</FirstName><LastName>Dąbrowski</LastName><Age>19</Age>
<PlayerForm>7</PlayerForm><StaminaSkill>6</StaminaSkill><KeeperSkill>5</KeeperSkill><DefenderSkill>5</DefenderSkill>
<PlaymakerSkill>5</PlaymakerSkill><WingerSkill>5</WingerSkill><PassingSkill>6</PassingSkill><ScorerSkill>5</ScorerSkill>
<SetPiecesSkill>5</SetPiecesSkill><Experience>5</Experience><TSI>1200</TSI><Salary>550</Salary>
<TransferListed>0</TransferListed></Player></PlayerList></Team></HattrickData>"""

MATCHES_XML = f"""<HattrickData><Team><MatchList><Match><MatchID>{MATCH}</MatchID>
<HomeTeam><HomeTeamID>{TEAM}</HomeTeamID><HomeTeamName>FC Test</HomeTeamName></HomeTeam>
<AwayTeam><AwayTeamID>1</AwayTeamID><AwayTeamName>Visitors</AwayTeamName></AwayTeam>
<MatchDate>2026-01-04 14:00:00</MatchDate><MatchType>1</MatchType>
<HomeGoals>2</HomeGoals><AwayGoals>1</AwayGoals><WeatherID>3</WeatherID></Match></MatchList></Team></HattrickData>"""


class Source(ThreadingHTTPServer):
    """Hattrick, as far as we ask; a file that is missing from `documents` is answered by 503."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.documents = {"teamdetails": TEAM_XML, "players": PLAYERS_XML, "matches": MATCHES_XML}
        self.tokens = set()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/chppxml.ashx"


class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.tokens.add(self.headers["Authorization"])
        (file,) = parse_qs(urlsplit(self.path).query)["file"]
        document = self.server.documents.get(file)
        self.send_response(503 if document is None else 200)
        self.end_headers()
        self.wfile.write((document or "").encode())

    def log_message(self, *_args):
        """Say nothing."""


@pytest.fixture
def source(app):
    with Source() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        app.config["CHPP_URL"] = server.url
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def written(db, models):
    """Says how many rows there are of what an update writes."""

    def count():
        mine = {
            "players": db.select(models.Players).filter_by(team_id=TEAM),
            "matches": db.select(models.Match).filter_by(ht_id=MATCH),
            "events": db.select(models.TrainingEvent).filter_by(user_id=MANAGER),
        }
        return {name: len(db.session.scalars(query).all()) for name, query in mine.items()}

    return count


def test_an_update_brings_players_and_matches(browser, source):
    answer = browser.post("/update").json
    assert (answer["players"], answer["matches"]) == (1, 1)
    assert browser.get(f"/players?team={TEAM}").json[0]["last_name"] == "Dąbrowski"
    assert browser.get(f"/matches?team={TEAM}").json[0]["home_goals"] == 2


@pytest.mark.since("v2")
def test_an_update_brings_the_team_and_its_new_name(browser, source):
    browser.post("/update")
    source.documents["teamdetails"] = TEAM_XML.replace("FC Test", "FC Renamed")
    browser.post("/update")
    assert [team["name"] for team in browser.get("/teams").json] == ["FC Renamed"]


def test_an_update_asks_in_the_managers_name_and_writes_down_when(browser, source, manager, db):
    browser.post("/update")
    assert source.tokens == {'OAuth oauth_token="key"'}
    assert manager.last_update is not None


def test_an_update_records_which_skills_were_trained(browser, source, add, snapshot, db, models):
    add(snapshot(date(2026, 1, 5)))
    browser.post("/update")
    event = db.session.scalars(db.select(models.TrainingEvent).filter_by(user_id=MANAGER)).one()
    assert (event.skill, event.old, event.new) == ("passing", 5, 6)


def test_a_second_update_changes_nothing(browser, source, add, snapshot, written):
    add(snapshot(date(2026, 1, 5)))
    browser.post("/update")
    after_one = written()
    browser.post("/update")
    assert written() == after_one == {"players": 2, "matches": 1, "events": 1}


@pytest.mark.since("v7")
def test_a_player_without_a_name_gets_a_question_mark(browser, source):
    source.documents["players"] = PLAYERS_XML.replace("<LastName>Dąbrowski</LastName>", "<LastName></LastName>")
    browser.post("/update")
    assert browser.get(f"/players?team={TEAM}").json[0]["last_name"] == "?"


@pytest.mark.parametrize("broken", [None, "<HattrickData><Team>"], ids=["down", "cut off"])
def test_a_source_that_fails_half_way_leaves_nothing_half_written(browser, source, written, db, models, broken):
    source.documents["matches"] = broken
    assert browser.post("/update").status_code == 502
    assert written() == {"players": 0, "matches": 0, "events": 0}
    assert db.session.scalars(db.select(models.ErrorLog).filter_by(user_id=MANAGER)).one().message.startswith("matches")


def test_a_source_that_is_not_there_leaves_nothing_half_written(app, browser, source, written):
    unused = Source()
    unused.server_close()
    app.config["CHPP_URL"] = unused.url
    assert browser.post("/update").status_code == 502
    assert written() == {"players": 0, "matches": 0, "events": 0}
