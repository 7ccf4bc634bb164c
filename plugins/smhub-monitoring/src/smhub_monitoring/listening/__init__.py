"""Listening for one query on several networks at once, and trying it on what is stored before it is saved."""
