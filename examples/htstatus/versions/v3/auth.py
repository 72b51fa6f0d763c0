"""Who is asking: passwords, and sessions kept in the database."""

import hashlib
import hmac
import secrets
from functools import wraps

from flask import Blueprint, abort, current_app, g, jsonify, request
from werkzeug.security import check_password_hash, generate_password_hash

from versions.v3.models import User, UserSession, db, now

COOKIE = "htstatus_session"

blueprint = Blueprint("auth", __name__)


def hash_password(password):
    return generate_password_hash(password, method="scrypt")


def password_matches(stored, password):
    """Whether `password` is behind the stored hash: one of Werkzeug's, or the bare SHA-256 of HTStatus 1."""
    if "$" in stored:
        return check_password_hash(stored, password)
    return hmac.compare_digest(stored, hashlib.sha256(password.encode()).hexdigest())


def login_required(view):
    @wraps(view)
    def guarded(*args, **kwargs):
        if g.user is None:
            abort(401)
        return view(*args, **kwargs)

    return guarded


@blueprint.before_app_request
def load_session():
    """Find the session of the request and renew it, or remove it once it has expired."""
    g.user = g.session = None
    session = db.session.get(UserSession, request.cookies.get(COOKIE, ""))
    if session is None:
        return
    if session.expires <= now():
        db.session.delete(session)
    else:
        session.expires = now() + current_app.config["SESSION_LIFETIME"]
        g.session, g.user = session, db.session.get(User, session.user_id)
    db.session.commit()


@blueprint.post("/login")
def login():
    user = db.session.scalar(db.select(User).filter_by(login=request.json["login"]))
    if user is None or not password_matches(user.password, request.json["password"]):
        abort(401)
    lifetime = current_app.config["SESSION_LIFETIME"]
    session = UserSession(token=secrets.token_hex(32), user_id=user.ht_id, expires=now() + lifetime)
    user.last_login = now()
    db.session.add(session)
    db.session.commit()
    response = jsonify(ht_id=user.ht_id, username=user.username)
    response.set_cookie(COOKIE, session.token, httponly=True, samesite="Lax")
    return response


@blueprint.post("/logout")
@login_required
def logout():
    db.session.delete(g.session)
    db.session.commit()
    response = jsonify()
    response.delete_cookie(COOKIE)
    return response
