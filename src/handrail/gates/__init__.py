"""One file, one condition that must hold before a run."""
