"""Emulated networks: the decisions of links without a network, and real packets as root."""
