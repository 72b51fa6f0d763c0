"""One readable pipeline for each command."""
