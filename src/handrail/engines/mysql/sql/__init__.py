"""The SQL of MySQL and MariaDB: what the text of a statement says, before and after it was sent."""
