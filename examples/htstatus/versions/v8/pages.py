"""What a manager looks at: teams, players, training, matches."""

from datetime import date

from flask import Blueprint, abort, g, jsonify, request

from versions.v8.auth import login_required
from versions.v8.models import KINDS, SKILLS, Appearance, Match, Players, Team, db

blueprint = Blueprint("pages", __name__)


def snapshots_of(team_id, on=None):
    """The newest snapshot of each player of a team, up to the day `on`."""
    newest = db.select(Players.ht_id, db.func.max(Players.data_date).label("day"))
    newest = newest.where(Players.team_id == team_id)
    if on is not None:
        newest = newest.where(Players.data_date <= on)
    newest = newest.group_by(Players.ht_id).subquery()
    return db.session.scalars(
        db.select(Players)
        .join(newest, db.and_(Players.ht_id == newest.c.ht_id, Players.data_date == newest.c.day))
        .order_by(Players.ht_id)
    ).all()


@blueprint.get("/teams")
@login_required
def teams():
    rows = db.session.scalars(db.select(Team).filter_by(user_id=g.user.ht_id).order_by(Team.ht_id))
    return jsonify([team.to_dict() for team in rows])


@blueprint.get("/players")
@login_required
def players():
    return jsonify([player.to_dict() for player in snapshots_of(request.args.get("team", type=int))])


@blueprint.get("/players/<int:ht_id>")
@login_required
def player(ht_id):
    """The newest snapshot, what became of each skill since the first, and the stars of past matches."""
    history = db.session.scalars(db.select(Players).filter_by(ht_id=ht_id).order_by(Players.data_date)).all()
    if not history:
        abort(404)
    first, last = history[0], history[-1]
    stars = db.select(Appearance.stars).filter_by(player_id=ht_id).order_by(Appearance.match_id)
    return jsonify(
        player=last.to_dict(),
        trend={skill: getattr(last, skill) - getattr(first, skill) for skill in (*SKILLS, "current_form", "tsi")},
        days=[snapshot.data_date.isoformat() for snapshot in history],
        stars=db.session.scalars(stars).all(),
    )


@blueprint.get("/training")
@login_required
def training():
    """The skills that changed between two days."""
    team_id = request.args.get("team", type=int)
    since, until = (date.fromisoformat(request.args[name]) for name in ("since", "until"))
    before = {snapshot.ht_id: snapshot for snapshot in snapshots_of(team_id, since)}
    changes = [
        {
            "player": after.ht_id,
            "skill": skill,
            "old": getattr(before[after.ht_id], skill),
            "new": getattr(after, skill),
        }
        for after in snapshots_of(team_id, until)
        for skill in SKILLS
        if after.ht_id in before and getattr(before[after.ht_id], skill) != getattr(after, skill)
    ]
    return jsonify(changes)


@blueprint.get("/matches")
@login_required
def matches():
    """Matches of a team, newest first, by kind and from a day on where asked."""
    team_id = request.args.get("team", type=int)
    query = db.select(Match).where(db.or_(Match.home_team_id == team_id, Match.away_team_id == team_id))
    if "type" in request.args:
        query = query.where(Match.type == KINDS.get(request.args.get("type", type=int)))
    if "since" in request.args:
        query = query.where(Match.kickoff >= date.fromisoformat(request.args["since"]))
    rows = db.session.scalars(query.order_by(Match.kickoff.desc(), Match.ht_id))
    return jsonify([match.to_dict() for match in rows])
