"""A storm, from the first suspicion to what was learned: one switch that holds posts, gathers what is said, and keeps a timeline."""
