"""Tuning of operators by searching a vendor's templates, and graph passes."""
