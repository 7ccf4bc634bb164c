"""What warns: rules that look at what is said, alerts that are raised once and clear by themselves, and the people who are told."""
