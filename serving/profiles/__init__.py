"""Readers of measured kernel times and of recorded runs, and where both are published."""
