"""A package that brings others with it."""
