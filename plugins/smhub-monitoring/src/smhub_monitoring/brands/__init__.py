"""Named sets of brands, for share of voice."""
