"""Overlap of compute and memory on a real GPU: what measures it, and what reads the results."""
