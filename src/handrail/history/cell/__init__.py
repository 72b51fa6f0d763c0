"""Where code runs that nobody has agreed to run: a child process that may compute and import, and nothing else."""
