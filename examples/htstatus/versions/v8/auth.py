"""Who is asking: passwords, and sessions kept in the database."""

import hashlib
import hmac
import secrets
from functools import wraps

from flask import Blueprint, abort, current_app, g, jsonify, request
from werkzeug.security import check_password_hash, generate_password_hash

from versions.v8.models import User, UserSession, db, now

COOKIE = "htstatus_session"
LOCKED = "locked"

blueprint = Blueprint("auth", __name__)


def hash_password(password):
    return generate_password_hash(password, method="scrypt")


def password_matches(user, password):
    """Whether `password` is behind the user's hash: Werkzeug's, one around a bare SHA-256, or the bare one.

    A password that an older release changed is in `password`, so that one decides whether the wrapped hash counts.
    """
    if "$" in user.password:
        return check_password_hash(user.password, password)
    bare = hashlib.sha256(password.encode()).hexdigest()
    if user.password_wrapped is not None:
        return check_password_hash(user.password_wrapped, bare)
    return hmac.compare_digest(user.password, bare)


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
    user = db.session.get(User, session.user_id)
    if session.expires <= now() or user.role == LOCKED:
        db.session.delete(session)
    else:
        session.expires = now() + current_app.config["SESSION_LIFETIME"]
        g.session, g.user = session, user
    db.session.commit()


@blueprint.post("/login")
def login():
    user = db.session.scalar(db.select(User).filter_by(login=request.json["login"]))
    if user is None or not password_matches(user, request.json["password"]):
        abort(401)
    if user.role == LOCKED:
        abort(403)
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
