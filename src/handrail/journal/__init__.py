"""What happened: our tables in the target, and the journal of runs."""
