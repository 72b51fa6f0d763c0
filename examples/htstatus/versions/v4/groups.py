"""Squad groups: a manager's own grouping of players, with colours."""

from flask import Blueprint, abort, g, jsonify, request

from versions.v4.auth import login_required
from versions.v4.models import PlayerMark, SquadGroup, db

blueprint = Blueprint("groups", __name__, url_prefix="/groups")


def own_group(group_id):
    group = db.session.get(SquadGroup, group_id)
    if group is None or group.user_id != g.user.ht_id:
        abort(404)
    return group


@blueprint.get("")
@login_required
def groups():
    rows = db.session.scalars(db.select(SquadGroup).filter_by(user_id=g.user.ht_id).order_by(SquadGroup.order))
    marks = db.session.scalars(db.select(PlayerMark).filter_by(user_id=g.user.ht_id)).all()
    return jsonify(
        [
            {**group.to_dict(), "players": sorted(mark.player_id for mark in marks if mark.group_id == group.id)}
            for group in rows
        ]
    )


@blueprint.post("")
@login_required
def create():
    group = SquadGroup(
        user_id=g.user.ht_id,
        name=request.json["name"],
        order=request.json.get("order", 0),
        text_colour=request.json.get("text_colour"),
        background_colour=request.json.get("background_colour"),
    )
    db.session.add(group)
    db.session.commit()
    return jsonify(group.to_dict()), 201


@blueprint.put("/<int:group_id>/players/<int:player_id>")
@login_required
def mark(group_id, player_id):
    """Put a player into a group, and out of the one it was in."""
    group = own_group(group_id)
    db.session.execute(db.delete(PlayerMark).filter_by(user_id=g.user.ht_id, player_id=player_id))
    db.session.add(PlayerMark(user_id=g.user.ht_id, group_id=group.id, player_id=player_id))
    db.session.commit()
    return jsonify()


@blueprint.delete("/<int:group_id>")
@login_required
def delete(group_id):
    group = own_group(group_id)
    db.session.execute(db.delete(PlayerMark).filter_by(group_id=group.id))
    db.session.delete(group)
    db.session.commit()
    return jsonify()
