"""The database that all releases share, one for each environment.

    python database.py staging

prints the URL of staging's: from the variable below, or else on the server that `make services` started.
"""

import argparse
import os
import sys

import services

DEVELOPMENT = "development"
#: Environment: the variable that may name its database, and what it is called on our own server.
DATABASES = {
    DEVELOPMENT: ("DATABASE_URL", "htstatus"),
    "staging": ("STAGING_DATABASE_URL", "htstatus_staging"),
    "production": ("PRODUCTION_DATABASE_URL", "htstatus_production"),
}


def url(environment=DEVELOPMENT):
    """The variable's, or else a database on our own server, which lives as long as this process where it is not up."""
    variable, name = DATABASES[environment]
    given = os.environ.get(variable)
    if given:
        return given
    import embedded  # noqa: PLC0415 - needs PostgreSQL's programs, which nobody with a variable has to have

    return embedded.database(name)


def main():
    parser = argparse.ArgumentParser(description="Print the URL of an environment's database")
    parser.add_argument("environment", choices=DATABASES)
    environment = parser.parse_args().environment
    variable, _name = DATABASES[environment]
    known = os.environ.get(variable) or services.urls().get(environment)
    if not known:
        sys.exit(f"{environment} has no database: `make services` makes one, or set {variable}")
    print(known)


if __name__ == "__main__":
    main()
