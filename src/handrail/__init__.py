"""Handrail: database migrations that prove themselves before they reach production."""
