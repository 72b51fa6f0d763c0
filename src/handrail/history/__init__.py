"""The reader and driver of Alembic."""
