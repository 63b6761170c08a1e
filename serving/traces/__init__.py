"""Readers of public request traces, and the catalogue of where they are."""
