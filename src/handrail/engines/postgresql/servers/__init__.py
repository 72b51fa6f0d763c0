"""PostgreSQL servers of our own, like the target's where it matters, gone with us."""
