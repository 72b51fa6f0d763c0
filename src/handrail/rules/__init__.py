"""One file, one rule about a recorded revision."""
