"""One backup: made, proved, or left to programs of the environment."""
