"""Bluesky for smhub, and other servers of the AT Protocol."""
