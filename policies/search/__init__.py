"""Searches over templates, one file each."""
