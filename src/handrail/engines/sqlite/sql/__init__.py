"""The SQL of SQLite: what the text of a statement says, before and after it was sent."""
