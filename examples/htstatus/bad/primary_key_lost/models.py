"""The models, whose primary keys the revisions are to keep."""

from datetime import date

from sqlalchemy import String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Everything below."""


class User(Base):
    __tablename__ = "users"

    ht_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    login: Mapped[str] = mapped_column(String(64))
    password: Mapped[str] = mapped_column(String(128))


class Player(Base):
    __tablename__ = "players"

    ht_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    data_date: Mapped[date] = mapped_column(primary_key=True)
    team_id: Mapped[int]
    form: Mapped[int]
    transfer_flag: Mapped[int]
