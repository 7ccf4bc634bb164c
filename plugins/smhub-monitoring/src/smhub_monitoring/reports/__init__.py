"""Figures: what is counted, how it is measured, and the reports that are made of it."""
