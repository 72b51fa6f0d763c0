"""What each version of the application can still do with a schema: its contract, exercised on a sandbox."""
