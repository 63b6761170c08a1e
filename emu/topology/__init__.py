"""Topologies: what they are (`layout`), and how Mininet builds them (`network`)."""
