"""The networks of loud.py, for a served hub."""

import loud


class LoudlyPlugin(loud.LoudPlugin):
    id, title = "loudly", "Loud"
