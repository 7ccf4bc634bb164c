"""A network that does not exist, for trying smhub out, for demonstrations and for measuring."""
