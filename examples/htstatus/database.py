"""The database all releases share: DATABASE_URL, or else one on a PostgreSQL kept below this folder."""

import os


def url():
    given = os.environ.get("DATABASE_URL")
    if given:
        return given
    import embedded  # noqa: PLC0415 - needs PostgreSQL's programs, which nobody with a DATABASE_URL has to have

    return embedded.database("htstatus")
