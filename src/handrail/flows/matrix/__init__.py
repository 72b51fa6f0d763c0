"""Versions of the application on the schemas of revisions: executed, foreseen, or seen at work."""
