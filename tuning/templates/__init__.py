"""Template libraries: what a vendor's library offers for an operator, rendered to source."""
