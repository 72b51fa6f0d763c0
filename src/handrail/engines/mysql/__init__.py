"""MySQL 8.0 and later, MariaDB 10.6 and later: their SQL is read; no database of theirs is connected to yet."""
