"""A connector that does everything right, and for each check some that do one thing wrong: the kit must tell them apart."""
