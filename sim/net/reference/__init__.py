"""The reference engine: the model of docs/network-model.md in SimPy, written to be read.

Links, senders, receivers and sources are objects that schedule SimPy events; the order of events
at one instant is in `clock`. It shares with the packet engine only what draws numbers and the
steps of RED and CoDel; a test holds the two to the same trace, event for event.
"""

from sim.net.reference.network import Network, simulate

__all__ = ["Network", "simulate"]
