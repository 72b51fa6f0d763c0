"""The workflows run against one release, HTSTATUS_VERSION (default: the newest), on one of two databases.

Handed a migrated database in HANDRAIL_URL or DATABASE_URL, they use it and leave it as it was. Otherwise they
make one on the embedded server, upgrade it to head, and drop it in the end. Each test runs in a transaction
that is rolled back, so rows that are already there do no harm; the tests' own ids are far above any of them.
"""

import hashlib
import os
from importlib import import_module
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from werkzeug.security import generate_password_hash

from versions import NEWEST

VERSION = os.environ.get("HTSTATUS_VERSION", NEWEST)
EXAMPLE = Path(__file__).parent.parent
MANAGER, RIVAL, TEAM, PLAYER = 990_000_001, 990_000_002, 990_000_100, 990_001_000
PASSWORD = "correct horse"  # noqa: S105 - the tests' own user


def pytest_collection_modifyitems(config, items):
    """Leave out what this release does not have yet, or not any more."""
    later = [item for item in items if any(mark.args[0] > VERSION for mark in item.iter_markers("since"))]
    earlier = [item for item in items if any(mark.args[0] < VERSION for mark in item.iter_markers("until"))]
    left_out = [*later, *earlier]
    items[:] = [item for item in items if item not in left_out]
    if left_out:
        config.hook.pytest_deselected(items=left_out)


def pytest_sessionfinish(session, exitstatus):
    """A run in which no test got to its end is no success."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if exitstatus == pytest.ExitCode.OK and reporter and not reporter.stats.get("passed"):
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED


@pytest.fixture(scope="session")
def database_url():
    given = os.environ.get("HANDRAIL_URL") or os.environ.get("DATABASE_URL")
    if given:
        yield given
        return
    import embedded  # noqa: PLC0415 - needs PostgreSQL's programs, which nobody with a database has to have

    name = f"htstatus_test_{os.getpid()}"
    url = embedded.database(name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", url)
        command.upgrade(Config(EXAMPLE / "migrations" / "alembic.ini"), "head")
    yield url
    embedded.drop(name)


@pytest.fixture(scope="session")
def release():
    """The package of the release under test."""
    return import_module(f"versions.{VERSION}")


@pytest.fixture(scope="session")
def models(release):
    return import_module(f"{release.__name__}.models")


@pytest.fixture(scope="session")
def application(release, models, database_url):
    app = release.create_app(SQLALCHEMY_DATABASE_URI=database_url, TESTING=True)
    app.teardown_request(lambda _error: models.db.session.rollback())  # what a request did not commit is gone
    with app.app_context():
        if models.db.engine.dialect.name == "sqlite":
            begin_for_real(models.db.engine)
        yield app
        models.db.engine.dispose()


def begin_for_real(engine):
    """Make SQLite's driver begin when we do, or savepoints would commit. Source: SQLAlchemy, dialects/sqlite."""

    @sa.event.listens_for(engine, "connect")
    def leave_transactions_to_us(connection, _record):
        connection.isolation_level = None

    @sa.event.listens_for(engine, "begin")
    def begin(connection):
        connection.exec_driver_sql("BEGIN")


@pytest.fixture
def app(application, models):
    """The application on one connection, whose transaction is rolled back whatever the application commits."""
    db, engine = models.db, models.db.engine
    with engine.connect() as connection:
        outer = connection.begin()
        connection.begin_nested()
        db.engines[None] = connection
        yield application
        db.session.remove()
        db.engines[None] = engine
        outer.rollback()


@pytest.fixture
def db(app, models):
    return models.db


@pytest.fixture
def add(db):
    """Stores rows, as if they had been there before."""

    def add_rows(*rows):
        db.session.add_all(rows)
        db.session.commit()
        return rows[0]

    return add_rows


@pytest.fixture
def manager(add, models):
    """A user with a hash of today's kind."""
    return add(new_user(models, MANAGER, generate_password_hash(PASSWORD, "pbkdf2:sha256:1")))


@pytest.fixture
def legacy_manager(add, models):
    """A user who has not changed the password since HTStatus 1."""
    return add(new_user(models, RIVAL, hashlib.sha256(PASSWORD.encode()).hexdigest()))


def new_user(models, ht_id, password):
    return models.User(ht_id=ht_id, login=f"test-{ht_id}", username="Tester", password=password, oauth_key="key")


@pytest.fixture
def visitor(app):
    """A browser nobody has logged in with."""
    return app.test_client()


@pytest.fixture
def browser(visitor, manager):
    """A browser the manager has logged in with."""
    answer = visitor.post("/login", json={"login": manager.login, "password": PASSWORD})
    assert answer.status_code == 200
    return visitor


@pytest.fixture
def form(models):
    """What this release calls a player's form."""
    return "current_form" if hasattr(models.Players, "current_form") else "form"


@pytest.fixture
def snapshot(models, form):
    """Makes a player on a day: every skill and the form 5 unless told."""
    listed = {"transfer_listed": False} if hasattr(models.Players, "transfer_listed") else {"transfer_flag": 0}

    def make(day, ht_id=PLAYER, **changes):
        changes = {form if name == "form" else name: value for name, value in changes.items()}
        numbers = dict.fromkeys((*models.SKILLS, form, "stamina"), 5)
        rest = {"age": 20, "tsi": 1000, "salary": 500, "first_name": "Ada", "last_name": "Berg", **listed}
        return models.Players(ht_id=ht_id, data_date=day, **{"team_id": TEAM, **numbers, **rest, **changes})

    return make


@pytest.fixture
def match(models):
    """Makes a match: Hattrick's code of its kind becomes what this release keeps."""

    def make(ht_id, kickoff, kind=1, home=TEAM, away=TEAM + 1):
        teams = {"home_team_id": home, "home_team": "Home", "away_team_id": away, "away_team": "Away"}
        kept = models.KINDS[kind] if hasattr(models, "KINDS") else kind
        return models.Match(ht_id=ht_id, kickoff=kickoff, type=kept, **teams)

    return make
