"""What several rules ask of a recorded revision: who waits, what is worked through, lost, left behind or claimed."""
