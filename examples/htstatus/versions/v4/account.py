"""A manager's own things: settings, feedback, exports."""

import csv
import hashlib
import io
import json

from flask import Blueprint, abort, g, jsonify, make_response, request

from versions.v4.auth import hash_password, login_required
from versions.v4.models import Export, Feedback, Players, Vote, db
from versions.v4.pages import snapshots_of

blueprint = Blueprint("account", __name__)


@blueprint.get("/settings")
@login_required
def settings():
    return jsonify(username=g.user.username, columns=g.user.column_prefs or {})


@blueprint.put("/settings")
@login_required
def change_settings():
    g.user.username = request.json.get("username", g.user.username)
    g.user.column_prefs = request.json.get("columns", g.user.column_prefs)
    if "password" in request.json:
        g.user.password = hash_password(request.json["password"])
    db.session.commit()
    return settings()


@blueprint.get("/feedback")
@login_required
def feedback():
    """All open feedback with the sum of its votes."""
    score = db.func.coalesce(db.func.sum(Vote.value), 0)
    query = db.select(Feedback, score).outerjoin(Vote, Vote.feedback_id == Feedback.id)
    query = query.where(~Feedback.archived).group_by(Feedback.id).order_by(Feedback.id)
    return jsonify([{**row.to_dict(), "score": votes} for row, votes in db.session.execute(query)])


@blueprint.post("/feedback")
@login_required
def give_feedback():
    row = Feedback(user_id=g.user.ht_id, text=request.json["text"])
    db.session.add(row)
    db.session.commit()
    return jsonify(row.to_dict()), 201


@blueprint.put("/feedback/<int:feedback_id>/vote")
@login_required
def vote(feedback_id):
    """One vote for each manager; a second one replaces the first."""
    if db.session.get(Feedback, feedback_id) is None:
        abort(404)
    mine = db.session.scalar(db.select(Vote).filter_by(user_id=g.user.ht_id, feedback_id=feedback_id))
    mine = mine or Vote(user_id=g.user.ht_id, feedback_id=feedback_id)
    mine.value = 1 if request.json["up"] else -1
    db.session.add(mine)
    db.session.commit()
    return jsonify()


@blueprint.put("/feedback/<int:feedback_id>/archived")
@login_required
def archive(feedback_id):
    if g.user.role != "admin":
        abort(403)
    db.get_or_404(Feedback, feedback_id).archived = True
    db.session.commit()
    return jsonify()


def as_csv(rows):
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [column.key for column in Players.__table__.columns])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


@blueprint.get("/export/players.<any(csv, json):kind>")
@login_required
def export(kind):
    """The players of a team as a file, its checksum in a header and in the list of exports."""
    rows = [player.to_dict() for player in snapshots_of(request.args.get("team", type=int))]
    body = (as_csv(rows) if kind == "csv" else json.dumps(rows)).encode()
    made = Export(user_id=g.user.ht_id, kind=kind, sha256=hashlib.sha256(body).hexdigest())
    db.session.add(made)
    db.session.commit()
    response = make_response(body)
    response.mimetype = "text/csv" if kind == "csv" else "application/json"
    response.headers["X-Content-SHA256"] = made.sha256
    return response
