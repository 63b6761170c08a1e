"""Congestion controllers: formulas by hand, and laws that each of them keeps."""
