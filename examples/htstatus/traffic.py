"""Readers and writers of one release, as a process of its own, while the schema below them changes.

    python traffic.py --version v1 --seconds 30 --rate 50

Arrivals are scheduled beforehand and latency counts from the scheduled arrival, so a stall shows in every
request it held up, not only in the first. Nothing is tried twice. SIGTERM ends the run early; either way
the last line of stdout is one JSON document with the figures.
"""

import argparse
import itertools
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from datetime import timedelta
from importlib import import_module
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from versions import NEWEST

FIRST_ID = 800_000_000
RELEASES = [f"v{number}" for number in range(1, 1 + int(NEWEST[1:]))]


class Visitor:
    """One manager at work through the models of one release; each public method is one request."""

    def __init__(self, models):
        self.models = models
        self.session = models.db.session
        self.select = models.db.select
        self.ids = itertools.count(1)
        self.ht_id = FIRST_ID + os.getpid()

    def requests(self):
        shared = [self.log_in, self.list_players, self.save_snapshot, self.list_matches, self.save_match]
        shared += [self.train, self.give_feedback]
        teams = [self.rename_team] if hasattr(self.models, "Team") else []
        groups = [self.mark_player] if hasattr(self.models, "SquadGroup") else []
        return shared + teams + groups

    def sign_up(self):
        m = self.models
        name = f"visitor-{self.ht_id}"
        self.session.merge(m.User(ht_id=self.ht_id, login=name, username=name, password="0" * 64))
        self.session.commit()

    def log_in(self):
        m = self.models
        user = self.session.scalar(self.select(m.User).filter_by(login=f"visitor-{self.ht_id}"))
        user.last_login = m.now()
        token = f"{self.ht_id}-{next(self.ids)}"
        expired = self.select(m.UserSession).filter_by(user_id=self.ht_id).limit(1)
        if (session := self.session.scalar(expired)) is not None:
            self.session.delete(session)
        self.session.add(m.UserSession(token=token, user_id=self.ht_id, expires=m.now() + timedelta(days=1)))
        self.session.commit()

    def list_players(self):
        m = self.models
        newest = self.select(m.Players).order_by(m.Players.ht_id, m.Players.data_date.desc()).limit(20)
        self.session.scalars(newest).all()

    def save_snapshot(self):
        m = self.models
        day = m.now().date() + timedelta(days=next(self.ids))
        given = {"ht_id": self.ht_id, "data_date": day, "team_id": self.ht_id, "first_name": "Vi", "last_name": "Sitor"}
        player = m.Players(**given)
        for column in set(m.Players.__table__.columns.keys()) - set(given):
            setattr(player, column, column == "transfer_listed" or 1)
        self.session.add(player)
        self.session.commit()

    def list_matches(self):
        m = self.models
        self.session.scalars(self.select(m.Match).order_by(m.Match.ht_id).limit(20)).all()

    def save_match(self):
        m = self.models
        kind = m.KINDS[1] if hasattr(m, "KINDS") else 1
        teams = {"home_team_id": self.ht_id, "home_team": "Home", "away_team_id": 1, "away_team": "Away"}
        self.session.merge(m.Match(ht_id=self.ht_id, kickoff=m.now(), type=kind, home_goals=next(self.ids), **teams))
        self.session.commit()

    def train(self):
        m = self.models
        event = {"player_id": self.ht_id, "skill": "passing", "old": 1, "new": 2, "at": m.now().date()}
        self.session.add(m.TrainingEvent(user_id=self.ht_id, **event))
        self.session.commit()

    def give_feedback(self):
        m = self.models
        self.session.add(m.Feedback(user_id=self.ht_id, text="More statistics, please."))
        self.session.commit()
        self.session.scalars(self.select(m.Feedback).filter_by(user_id=self.ht_id).limit(5)).all()

    def rename_team(self):
        m = self.models
        team = self.session.scalar(self.select(m.Team).filter_by(ht_id=self.ht_id))
        if team is None:
            team = m.Team(ht_id=self.ht_id, user_id=self.ht_id)
            self.session.add(team)
        team.name = f"Visitors {next(self.ids)}"
        self.session.commit()

    def mark_player(self):
        m = self.models
        group = m.SquadGroup(user_id=self.ht_id, name="Watched", order=next(self.ids))
        self.session.add(group)
        self.session.flush()
        self.session.add(m.PlayerMark(user_id=self.ht_id, group_id=group.id, player_id=next(self.ids)))
        self.session.commit()


class Figures:
    """What happened to the requests, and when; times in seconds."""

    def __init__(self):
        self.latencies = []
        self.finished = []
        self.errors = Counter()

    def record(self, due, now, error=None):
        self.finished.append(now)
        if error is None:
            self.latencies.append(now - due)
        else:
            self.errors[error] += 1

    def summary(self, version):
        ordered = sorted(self.latencies) or [0.0]
        gaps = [later - earlier for earlier, later in itertools.pairwise(self.finished)]
        return {
            "version": version,
            "ok": len(self.latencies),
            "failed": self.errors.total(),
            "errors": dict(self.errors),
            "p50_ms": milliseconds(ordered[len(ordered) // 2]),
            "p99_ms": milliseconds(ordered[len(ordered) * 99 // 100]),
            "max_ms": milliseconds(ordered[-1]),
            "longest_stall_ms": milliseconds(max(gaps, default=0.0)),
            "per_second": round(len(gaps) / max(sum(gaps), 1.0), 1),
        }


def milliseconds(seconds):
    return round(seconds * 1000, 1)


def error_class(error):
    """The driver's name for what went wrong where there is one: `UndefinedColumn`, not `ProgrammingError`."""
    return type(getattr(error, "orig", None) or error).__name__


def run(visitor, *, seconds, rate, stop):
    figures = Figures()
    requests = itertools.cycle(visitor.requests())
    start = time.monotonic()
    for number in range(int(seconds * rate)):
        due = start + number / rate
        if stop.wait(max(0.0, due - time.monotonic())):
            break
        try:
            next(requests)()
        except SQLAlchemyError as error:
            figures.record(due, time.monotonic(), error_class(error))
        else:
            figures.record(due, time.monotonic())
        finally:
            visitor.session.remove()
    return figures


def arguments():
    parser = argparse.ArgumentParser(description="Requests of one release against the shared database")
    parser.add_argument("--version", required=True, choices=RELEASES)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--rate", type=float, default=50.0, help="requests per second")
    parser.add_argument("--out", type=Path, help="also write the last line to this file")
    return parser.parse_args()


def main():
    options = arguments()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    os.environ["PGAPPNAME"] = f"htstatus@{options.version}"
    release = import_module(f"versions.{options.version}")
    with release.create_app().app_context():
        visitor = Visitor(import_module(f"versions.{options.version}.models"))
        visitor.sign_up()
        print(f"htstatus@{options.version} is running", file=sys.stderr, flush=True)
        figures = run(visitor, seconds=options.seconds, rate=options.rate, stop=stop)
    line = json.dumps(figures.summary(options.version))
    print(line, flush=True)
    if options.out:
        options.out.write_text(line + "\n")


if __name__ == "__main__":
    main()
