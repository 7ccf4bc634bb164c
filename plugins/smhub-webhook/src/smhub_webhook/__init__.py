"""A signed door for shops, forms and ticket systems: JSON in by Standard Webhooks, and out to an address of one's own."""
