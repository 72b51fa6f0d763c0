"""The SQL of PostgreSQL: what the text of a statement says, before and after it was sent."""
