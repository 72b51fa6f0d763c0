"""Runs the migrations on the application's database: from `flask db`, and from plain `alembic`."""

from logging.config import fileConfig
from pathlib import Path

from alembic import context
from flask import current_app, has_app_context

from app import create_app

fileConfig(Path(__file__).with_name("alembic.ini"), disable_existing_loggers=False)


def run_migrations_offline():
    migrate = current_app.extensions["migrate"]
    context.configure(
        url=migrate.db.engine.url,
        target_metadata=migrate.db.metadata,
        literal_binds=True,
        dialect_opts={"paramstyle": "named"},
        **migrate.configure_args,
    )
    with context.begin_transaction():
        context.run_migrations()


def run_migrations_online():
    migrate = current_app.extensions["migrate"]
    with migrate.db.engine.connect() as connection:
        context.configure(connection=connection, target_metadata=migrate.db.metadata, **migrate.configure_args)
        with context.begin_transaction():
            context.run_migrations()


def run_migrations():
    if context.is_offline_mode():
        run_migrations_offline()
    else:
        run_migrations_online()


if has_app_context():
    run_migrations()
else:
    with create_app().app_context():
        run_migrations()
        current_app.extensions["migrate"].db.engine.dispose()
