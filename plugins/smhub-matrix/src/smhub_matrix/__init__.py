"""A room on Matrix: what is said in it, and answers to it."""
