"""What is said about a company, heard and understood. Stage 1."""
