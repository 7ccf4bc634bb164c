"""What a mention is about: rules first, shipped models second, the organisation's own models third. Offline."""
