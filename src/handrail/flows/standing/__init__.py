"""Where a target stands, which way leads to where it shall be, and what its schema should be."""
