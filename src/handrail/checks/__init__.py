"""One file, one assertion about a database."""
