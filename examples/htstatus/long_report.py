"""A report of the kind that somebody starts and forgets: a transaction that has read `users` and does not end.

python long_report.py --environment production --seconds 5
"""

import argparse
import time

import sqlalchemy as sa

import database


def main():
    parser = argparse.ArgumentParser(description="Read users, and keep the transaction open")
    parser.add_argument("--environment", choices=database.DATABASES, default=database.DEVELOPMENT)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    engine = sa.create_engine(database.url(options.environment), connect_args={"application_name": "long_report"})
    with engine.begin() as connection:
        connection.execute(sa.text("select count(*) from users"))
        print("long_report has read users, and goes on", flush=True)
        time.sleep(options.seconds)


if __name__ == "__main__":
    main()
