"""smhub: a headless social-media hub for companies."""

__version__ = "0.1.0"
