"""Simulators: one GPU that overlaps compute and memory (`sim.gpu`), networks (`sim.net`)."""
