"""Pure frozen values: the nouns of Handrail."""
