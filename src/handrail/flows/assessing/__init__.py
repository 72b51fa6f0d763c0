"""What rules say of revisions: which ones, beside which database, and how many rows they would fail on."""
