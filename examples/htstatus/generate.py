"""Data for HTStatus, the same for the same seed, with the faults that old databases have.

    python generate.py --size tiny

Works on an empty database at any revision from create_matches on: it looks which tables, columns and constraints
exist. Planted whatever the size: 37 appearances in matches that do not exist, 12 snapshots without a name, 5 players
marked twice by the same manager, 3 transfer flags that are neither 0 nor 1, and 20 % of the passwords as bare
SHA-256. A fault that the revision refuses is left out.
"""

import argparse
import hashlib
import itertools
import random
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

import database

ORPHAN_APPEARANCES = 37
NAMELESS_SNAPSHOTS = 12
DUPLICATE_MARKS = 5
UNCASTABLE_FLAGS = (2, 7, -1)
SHA256_SHARE = 0.2

FIRST_USER, FIRST_TEAM, FIRST_PLAYER, FIRST_MATCH = 1_000, 100_000, 400_000_000, 700_000_000
NO_MATCH = 1
SEASON_START = datetime(2025, 9, 1, 18, 0)  # noqa: DTZ001 - every table keeps UTC without a zone
FIRST_NAMES = ("Anna", "Björn", "Carla", "Davor", "Emil", "Fenna", "Goran", "Hilde", "Ivo", "Jana", "Kofi", "Lea")
LAST_NAMES = ("Almeida", "Berg", "Costa", "Dąbrowski", "Eriksen", "Fischer", "García", "Horvat", "Ito", "O'Neill")
KINDS = {1: "league", 2: "qualification", 3: "cup", 4: "friendly"}
LEAGUES = ("Allsvenskan", "III.4", "V.128", "VI.701")
SKILLS = ("keeper", "defending", "playmaking", "winger", "passing", "scoring", "set_pieces", "experience")
ROWS_PER_BATCH = 10_000


@dataclass(frozen=True)
class Size:
    users: int
    teams: int
    players: int
    dates: int
    matches: int
    appearances: int


SIZES = {
    "tiny": Size(users=3, teams=2, players=50, dates=4, matches=90, appearances=900),
    "small": Size(users=20, teams=16, players=200, dates=20, matches=600, appearances=6_000),
    "tour": Size(users=50, teams=40, players=1_000, dates=40, matches=4_000, appearances=56_000),
    "medium": Size(users=500, teams=400, players=10_000, dates=40, matches=50_000, appearances=700_000),
    "large": Size(users=5_000, teams=4_000, players=125_000, dates=40, matches=200_000, appearances=2_800_000),
}


class World:
    """Rows of every table, made from one seeded source of chance; asked for in the order of the foreign keys."""

    def __init__(self, size, seed):
        self.size = size
        self.chance = random.Random(seed)
        self.users = range(FIRST_USER, FIRST_USER + size.users)
        self.teams = range(FIRST_TEAM, FIRST_TEAM + size.teams)
        self.players = range(FIRST_PLAYER, FIRST_PLAYER + size.players)
        self.matches = range(FIRST_MATCH, FIRST_MATCH + size.matches)

    def users_rows(self):
        legacy = max(1, round(SHA256_SHARE * len(self.users)))
        for number, ht_id in enumerate(self.users):
            yield {
                "ht_id": ht_id,
                "login": f"manager{number}",
                "username": f"Manager {number}",
                "password": self.password_hash(f"password{number}", legacy=number < legacy),
                "oauth_key": f"key-{ht_id}",
                "oauth_secret": f"secret-{ht_id}",
                "role": "admin" if number == 0 else None,
            }

    def password_hash(self, password, *, legacy):
        """As HTStatus 1 kept it, or as Werkzeug does, with few iterations for speed."""
        if legacy:
            return hashlib.sha256(password.encode()).hexdigest()
        salt = f"{self.chance.getrandbits(64):016x}"
        digest = hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), 1_000).hex()
        return f"pbkdf2:sha256:1000${salt}${digest}"

    def teams_rows(self):
        for ht_id, user_id in zip(self.teams, itertools.cycle(self.users), strict=False):
            league = self.chance.choice(LEAGUES)
            yield {
                "ht_id": ht_id,
                "name": team_name(ht_id),
                "user_id": user_id,
                "league": league,
                "updated": SEASON_START,
            }

    def players_rows(self):
        keys = list(itertools.product(range(len(self.players)), range(self.size.dates)))
        nameless = set(self.chance.sample(keys, NAMELESS_SNAPSHOTS))
        flags = dict(zip(self.chance.sample(keys, len(UNCASTABLE_FLAGS)), UNCASTABLE_FLAGS, strict=True))
        for number, ht_id in enumerate(self.players):
            skills = {skill: self.chance.randint(1, 12) for skill in SKILLS}
            first, last = self.chance.choice(FIRST_NAMES), self.chance.choice(LAST_NAMES)
            age = self.chance.randint(17, 34)
            for week in range(self.size.dates):
                skills[self.chance.choice(SKILLS)] += self.chance.random() < SHA256_SHARE
                form = self.chance.randint(1, 8)
                yield {
                    "ht_id": ht_id,
                    "data_date": (SEASON_START + timedelta(weeks=week)).date(),
                    "team_id": self.team_of(number),
                    "first_name": first,
                    "last_name": None if (number, week) in nameless else last,
                    "age": age,
                    "form": form,
                    "current_form": form,
                    "stamina": self.chance.randint(1, 9),
                    **skills,
                    "tsi": sum(skills.values()) * 90 + self.chance.randint(0, 500),
                    "salary": 250 + sum(skills.values()) * 40,
                    "transfer_flag": flags.get((number, week), int(self.chance.random() < 0.05)),
                }

    def team_of(self, player_number):
        return self.teams[player_number % len(self.teams)]

    def training_events_rows(self):
        for number, player_id in enumerate(self.players):
            old = self.chance.randint(1, 12)
            yield {
                "user_id": self.users[number % len(self.users)],
                "player_id": player_id,
                "skill": self.chance.choice(SKILLS),
                "old": old,
                "new": old + 1,
                "at": SEASON_START.date(),
            }

    def matches_rows(self):
        for number, ht_id in enumerate(self.matches):
            home, away = self.chance.sample(self.teams, 2)
            yield {
                "ht_id": ht_id,
                "home_team_id": home,
                "home_team": team_name(home),
                "away_team_id": away,
                "away_team": team_name(away),
                "kickoff": SEASON_START + timedelta(days=number * 280 / self.size.matches),
                "type": self.chance.choice((1, 1, 1, 2, 3, 4)),
                "home_goals": self.chance.randint(0, 5),
                "away_goals": self.chance.randint(0, 4),
                "home_rating": self.chance.randint(10, 60) / 4,
                "away_rating": self.chance.randint(10, 60) / 4,
                "weather": self.chance.randint(0, 3),
            }

    def appearances_rows(self):
        for number in range(self.size.appearances):
            orphan = number < ORPHAN_APPEARANCES
            yield {
                "match_id": NO_MATCH + number if orphan else self.chance.choice(self.matches),
                "player_id": self.chance.choice(self.players),
                "role": self.chance.randint(100, 113),
                "stars": self.chance.randint(2, 20) / 2,
                "behaviour": self.chance.randint(0, 4),
            }

    def feedback_rows(self):
        for user_id in self.users:
            yield {"user_id": user_id, "text": self.chance.choice(("More graphs", "Great site", "Slow on Mondays"))}

    def votes_rows(self, feedback_ids):
        for user_id, feedback_id in itertools.islice(itertools.product(self.users, feedback_ids), 10 * len(self.users)):
            yield {"user_id": user_id, "feedback_id": feedback_id, "value": self.chance.choice((1, 1, -1))}

    def squad_groups_rows(self):
        for user_id, (order, name) in itertools.product(self.users, enumerate(("First team", "To sell"))):
            yield {
                "user_id": user_id,
                "name": name,
                "order": order,
                "text_colour": "#000000",
                "background_colour": "#ffd700",
            }

    def player_marks_rows(self, groups):
        """One mark for each player, in a group of its manager, and the first few marked a second time."""
        of_user = {user_id: [group for group, owner in groups if owner == user_id] for user_id in self.users}
        for number in (*range(len(self.players)), *range(DUPLICATE_MARKS)):
            user_id = self.users[number % len(self.users)]
            group_id = self.chance.choice(of_user[user_id])
            yield {"user_id": user_id, "group_id": group_id, "player_id": self.players[number]}


def team_name(ht_id):
    return f"FC {LAST_NAMES[ht_id % len(LAST_NAMES)]} {ht_id}"


def fitting(table, rows):
    """The rows as this revision takes them: a fault that it refuses is mended or left out."""
    kinds = isinstance(getattr(table.c.get("type"), "type", None), sa.Enum)
    named = table.name == "players" and not table.c.last_name.nullable
    whole = table.name == "appearances" and table.foreign_keys
    unique = table.name == "player_marks" and any(index.unique for index in table.indexes)
    marked = set()
    for row in rows:
        if kinds:
            row["type"] = KINDS[row["type"]]
        if named:
            row["last_name"] = row["last_name"] or "?"
        if "transfer_flag" in row:
            row["transfer_listed"] = row["transfer_flag"] == 1
        if (whole and row["match_id"] < FIRST_MATCH) or (unique and row["player_id"] in marked):
            continue
        if unique:
            marked.add(row["player_id"])
        yield row


def write(connection, table, rows):
    """Store rows, leaving out the columns this revision does not have; by COPY where the driver offers it."""
    rows = fitting(table, rows)
    first = next(rows)
    columns = [name for name in first if name in table.c]
    everything = itertools.chain([first], rows)
    if connection.dialect.driver == "psycopg":
        return copy(connection, table, columns, everything)
    while batch := list(itertools.islice(everything, ROWS_PER_BATCH)):
        connection.execute(table.insert(), [{name: row[name] for name in columns} for row in batch])
    return None


def copy(connection, table, columns, rows):
    quote = connection.dialect.identifier_preparer.quote
    names = ", ".join(map(quote, columns))
    cursor = connection.connection.cursor()
    with cursor.copy(f"COPY {quote(table.name)} ({names}) FROM STDIN") as stream:
        for row in rows:
            stream.write_row([row[name] for name in columns])


def generate(connection, size, seed=1):
    """Fill the tables that exist. Raises RuntimeError where they do not, or there are users already."""
    metadata = sa.MetaData()
    metadata.reflect(connection)
    tables = metadata.tables
    if "appearances" not in tables:
        raise RuntimeError("there are no tables in this database yet: `alembic upgrade head` makes them")
    users = tables["users"] if "users" in tables else tables["accounts"]
    if connection.scalar(sa.select(sa.func.count()).select_from(users)):
        raise RuntimeError("there are users in this database already; nothing was written")
    world = World(size, seed)
    people = list(world.users_rows())
    for name in ("users", "accounts", "profiles"):
        if name in tables:
            write(connection, tables[name], people)
    for name in ("teams", "players", "training_events", "matches", "appearances", "feedback", "squad_groups"):
        if name in tables:
            write(connection, tables[name], getattr(world, f"{name}_rows")())
    feedback = tables["feedback"]
    feedback_ids = connection.scalars(sa.select(feedback.c.id).order_by(feedback.c.id)).all()
    write(connection, tables["votes"], world.votes_rows(feedback_ids))
    if "player_marks" in tables:
        groups = tables["squad_groups"]
        owned = connection.execute(sa.select(groups.c.id, groups.c.user_id).order_by(groups.c.id)).all()
        write(connection, tables["player_marks"], world.player_marks_rows(owned))


def main():
    parser = argparse.ArgumentParser(description="Fill an empty HTStatus database")
    parser.add_argument("--environment", choices=database.DATABASES, default=database.DEVELOPMENT)
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    engine = sa.create_engine(database.url(options.environment))
    try:
        with engine.begin() as connection:
            generate(connection, SIZES[options.size], options.seed)
    except RuntimeError as error:
        sys.exit(str(error))
    print(f"{options.size}: {SIZES[options.size]}")


if __name__ == "__main__":
    main()
