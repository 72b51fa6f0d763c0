"""What revisions would do, written down without a database."""
