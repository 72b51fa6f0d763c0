"""What the files of a project say: nothing of it is imported or run."""
