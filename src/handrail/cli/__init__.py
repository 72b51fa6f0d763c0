"""One file for each command: parse, call the flow, print, return an exit code."""
