"""Tables of HTStatus v7."""

from datetime import UTC, date, datetime

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import JSON, Enum, Float, ForeignKey, Index, MetaData, String, Text, UniqueConstraint, false, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SKILLS = ("keeper", "defending", "playmaking", "winger", "passing", "scoring", "set_pieces", "experience")

#: Hattrick's code of a kind of match, and its name.
KINDS = {
    1: "league",
    2: "qualification",
    3: "cup",
    4: "friendly",
    5: "friendly_cup",
    7: "masters",
    8: "international",
    9: "international_cup",
}


def now():
    """The time in UTC, without a zone, as every table keeps it."""
    return datetime.now(UTC).replace(tzinfo=None)


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )

    def to_dict(self):
        values = {column.key: getattr(self, column.key) for column in self.__table__.columns}
        return {key: value.isoformat() if isinstance(value, date) else value for key, value in values.items()}


db = SQLAlchemy(model_class=Base)


class User(db.Model):
    __tablename__ = "users"

    ht_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    login: Mapped[str] = mapped_column(String(64), unique=True)
    username: Mapped[str] = mapped_column(String(64))
    password: Mapped[str] = mapped_column(String(255))
    password_wrapped: Mapped[str | None] = mapped_column(String(255))
    oauth_key: Mapped[str | None] = mapped_column(String(64))
    oauth_secret: Mapped[str | None] = mapped_column(String(64))
    last_login: Mapped[datetime | None]
    last_update: Mapped[datetime | None]
    column_prefs: Mapped[dict | None] = mapped_column(JSON)
    role: Mapped[str | None] = mapped_column(String(20))


class UserSession(db.Model):
    __tablename__ = "sessions"

    token: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.ht_id"))
    expires: Mapped[datetime]


class Feedback(db.Model):
    __tablename__ = "feedback"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.ht_id"))
    text: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    archived: Mapped[bool] = mapped_column(server_default=false())


class Vote(db.Model):
    __tablename__ = "votes"
    __table_args__ = (UniqueConstraint("user_id", "feedback_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.ht_id"))
    feedback_id: Mapped[int] = mapped_column(ForeignKey("feedback.id"))
    value: Mapped[int]


class Export(db.Model):
    __tablename__ = "exports"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    kind: Mapped[str] = mapped_column(String(20))
    sha256: Mapped[str] = mapped_column(String(64))
    made_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ErrorLog(db.Model):
    __tablename__ = "error_log"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int | None]
    message: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(server_default=func.now())


class Quarantine(db.Model):
    """Rows that did not fit into what a migration made of their table, as they were."""

    __tablename__ = "quarantine"

    id: Mapped[int] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(String(63))
    reason: Mapped[str] = mapped_column(String(200))
    row: Mapped[dict] = mapped_column(JSONB)
    at: Mapped[datetime] = mapped_column(server_default=func.now())


class Team(db.Model):
    __tablename__ = "teams"

    id: Mapped[int] = mapped_column(primary_key=True)
    ht_id: Mapped[int] = mapped_column(unique=True)
    name: Mapped[str] = mapped_column(String(128))
    user_id: Mapped[int] = mapped_column(ForeignKey("users.ht_id"))
    league: Mapped[str | None] = mapped_column(String(64))
    updated: Mapped[datetime | None]


class Players(db.Model):
    """One player on one day."""

    __tablename__ = "players"
    __table_args__ = (Index(None, "team_id", "data_date"),)

    ht_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    data_date: Mapped[date] = mapped_column(primary_key=True)
    team_id: Mapped[int]
    first_name: Mapped[str] = mapped_column(String(64))
    last_name: Mapped[str] = mapped_column(String(64))
    age: Mapped[int]
    current_form: Mapped[int]
    stamina: Mapped[int]
    keeper: Mapped[int]
    defending: Mapped[int]
    playmaking: Mapped[int]
    winger: Mapped[int]
    passing: Mapped[int]
    scoring: Mapped[int]
    set_pieces: Mapped[int]
    experience: Mapped[int]
    tsi: Mapped[int]
    salary: Mapped[int]
    transfer_listed: Mapped[bool]


class TrainingEvent(db.Model):
    __tablename__ = "training_events"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.ht_id"))
    player_id: Mapped[int]
    skill: Mapped[str] = mapped_column(String(20))
    old: Mapped[int]
    new: Mapped[int]
    at: Mapped[date]


class Match(db.Model):
    __tablename__ = "matches"

    ht_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    home_team_id: Mapped[int] = mapped_column(index=True)
    home_team: Mapped[str] = mapped_column(String(128))
    away_team_id: Mapped[int] = mapped_column(index=True)
    away_team: Mapped[str] = mapped_column(String(128))
    kickoff: Mapped[datetime]
    type: Mapped[str] = mapped_column(Enum(*KINDS.values(), name="match_kind"))
    home_goals: Mapped[int | None]
    away_goals: Mapped[int | None]
    home_rating: Mapped[float | None] = mapped_column(Float)
    away_rating: Mapped[float | None] = mapped_column(Float)


class Appearance(db.Model):
    __tablename__ = "appearances"

    id: Mapped[int] = mapped_column(primary_key=True)
    match_id: Mapped[int] = mapped_column(ForeignKey("matches.ht_id", ondelete="CASCADE"), index=True)
    player_id: Mapped[int] = mapped_column(index=True)
    role: Mapped[int]
    stars: Mapped[float | None] = mapped_column(Float)
    behaviour: Mapped[int | None]


class SquadGroup(db.Model):
    __tablename__ = "squad_groups"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.ht_id"))
    name: Mapped[str] = mapped_column(String(64))
    order: Mapped[int]
    text_colour: Mapped[str | None] = mapped_column(String(7))
    background_colour: Mapped[str | None] = mapped_column(String(7))


class PlayerMark(db.Model):
    __tablename__ = "player_marks"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.ht_id"))
    group_id: Mapped[int] = mapped_column(ForeignKey("squad_groups.id"))
    player_id: Mapped[int]
