"""What keeps project code from every database but the one that Handrail chose."""
