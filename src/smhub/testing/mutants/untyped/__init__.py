"""A package that no type checker has seen."""
