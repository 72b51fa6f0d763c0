"""A value in, text out."""
