"""A package with a recording of the network: the connector that can read it, and one that cannot."""
