"""HTStatus v4: wrapped hashes for bare SHA-256 passwords, accounts that can be locked, current_form."""

from datetime import timedelta

from flask import Flask
from flask_migrate import Migrate

import database
from versions.v4 import account, auth, chpp, groups, pages
from versions.v4.models import db


def create_app(**settings):
    app = Flask(__name__)
    app.config.update(
        CHPP_URL="https://chpp.hattrick.org/chppxml.ashx",
        CHPP_TIMEOUT_S=10.0,
        SESSION_LIFETIME=timedelta(days=1),
        **settings,
    )
    if "SQLALCHEMY_DATABASE_URI" not in app.config:
        app.config["SQLALCHEMY_DATABASE_URI"] = database.url()
    db.init_app(app)
    on_sqlite = app.config["SQLALCHEMY_DATABASE_URI"].startswith("sqlite")
    Migrate(app, db, transaction_per_migration=True, compare_server_default=True, render_as_batch=on_sqlite)
    for part in (auth, pages, chpp, groups, account):
        app.register_blueprint(part.blueprint)
    return app
