"""What the company says: at most once, never silently lost, and an unclear outcome is shown and never guessed."""
