"""The packet engine: the network model in one block of memory, under numba."""

from sim.net.engine.run import Session, simulate

__all__ = ["Session", "simulate"]
