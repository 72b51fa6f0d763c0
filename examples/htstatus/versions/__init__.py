"""The releases of HTStatus that may be deployed at the same time; they share nothing but the database."""

NEWEST = "v8"
