"""What a project's env.py configures, and the models it names."""
