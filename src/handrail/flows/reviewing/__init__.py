"""What a review is about: which revisions, and beside which database."""
