"""Hattrick's own data (CHPP), fetched as XML and written in one transaction."""

from datetime import datetime
from urllib.parse import urlencode
from urllib.request import Request, urlopen
from xml.etree import ElementTree as ET

from flask import Blueprint, current_app, g, jsonify

from versions.v8.auth import login_required
from versions.v8.models import KINDS, SKILLS, ErrorLog, Match, Players, Team, TrainingEvent, db, now

blueprint = Blueprint("chpp", __name__)

PLAYER_TAGS = {
    "ht_id": "PlayerID",
    "age": "Age",
    "current_form": "PlayerForm",
    "stamina": "StaminaSkill",
    "keeper": "KeeperSkill",
    "defending": "DefenderSkill",
    "playmaking": "PlaymakerSkill",
    "winger": "WingerSkill",
    "passing": "PassingSkill",
    "scoring": "ScorerSkill",
    "set_pieces": "SetPiecesSkill",
    "experience": "Experience",
    "tsi": "TSI",
    "salary": "Salary",
}


class SourceError(Exception):
    """The source did not answer, or not in XML we can read."""


def fetch(file):
    """The root element of one CHPP document. Raises SourceError."""
    request = Request(  # noqa: S310 - the address is the operator's own setting
        f"{current_app.config['CHPP_URL']}?{urlencode({'file': file})}",
        headers={"Authorization": f'OAuth oauth_token="{g.user.oauth_key}"'},
    )
    try:
        with urlopen(request, timeout=current_app.config["CHPP_TIMEOUT_S"]) as answer:  # noqa: S310 - see above
            return ET.fromstring(answer.read())  # noqa: S314 - Hattrick's own documents, over TLS
    except (OSError, ET.ParseError) as error:
        raise SourceError(f"{file}: {error}") from error


def read_time(text):
    return datetime.fromisoformat(text)


def read_team(root):
    return Team(
        ht_id=int(root.findtext("Team/TeamID")),
        name=root.findtext("Team/TeamName"),
        league=root.findtext("Team/LeagueLevelUnitName"),
        user_id=g.user.ht_id,
        updated=read_time(root.findtext("FetchedDate")),
    )


def read_players(root):
    day = read_time(root.findtext("FetchedDate")).date()
    team_id = int(root.findtext("Team/TeamID"))
    return [
        Players(
            data_date=day,
            team_id=team_id,
            first_name=element.findtext("FirstName") or "?",
            last_name=element.findtext("LastName") or "?",
            transfer_listed=element.findtext("TransferListed") == "1",
            **{column: int(element.findtext(tag)) for column, tag in PLAYER_TAGS.items()},
        )
        for element in root.iter("Player")
    ]


def read_matches(root):
    return [
        Match(
            ht_id=int(element.findtext("MatchID")),
            home_team_id=int(element.findtext("HomeTeam/HomeTeamID")),
            home_team=element.findtext("HomeTeam/HomeTeamName"),
            away_team_id=int(element.findtext("AwayTeam/AwayTeamID")),
            away_team=element.findtext("AwayTeam/AwayTeamName"),
            kickoff=read_time(element.findtext("MatchDate")),
            type=KINDS[int(element.findtext("MatchType"))],
            home_goals=int(element.findtext("HomeGoals")),
            away_goals=int(element.findtext("AwayGoals")),
        )
        for element in root.iter("Match")
    ]


def save_team(team):
    """Write the team under the id it already has."""
    team.id = db.session.scalar(db.select(Team.id).filter_by(ht_id=team.ht_id))
    db.session.merge(team)


def record_training(player):
    """Write down which skills changed since the snapshot before this one, replacing what this day said earlier."""
    today = {"player_id": player.ht_id, "user_id": g.user.ht_id, "at": player.data_date}
    db.session.execute(db.delete(TrainingEvent).filter_by(**today))
    earlier = db.select(Players).where(Players.ht_id == player.ht_id, Players.data_date < player.data_date)
    before = db.session.scalar(earlier.order_by(Players.data_date.desc()).limit(1))
    for skill in SKILLS if before else ():
        old, new = getattr(before, skill), getattr(player, skill)
        if old != new:
            db.session.add(TrainingEvent(skill=skill, old=old, new=new, **today))


@blueprint.post("/update")
@login_required
def update():
    """Everything is fetched and read before anything is written, so a source that fails changes nothing."""
    try:
        team = read_team(fetch("teamdetails"))
        players = read_players(fetch("players"))
        matches = read_matches(fetch("matches"))
    except SourceError as error:
        db.session.add(ErrorLog(user_id=g.user.ht_id, message=str(error)))
        db.session.commit()
        return jsonify(error=str(error)), 502
    save_team(team)
    for row in (*players, *matches):
        db.session.merge(row)
    for player in players:
        record_training(player)
    g.user.last_update = now()
    db.session.commit()
    return jsonify(team=team.name, players=len(players), matches=len(matches))
