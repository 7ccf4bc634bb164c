"""Mastodon for smhub, and the servers that speak its API: glitch-soc, Hometown, GoToSocial, Pleroma, Akkoma."""
