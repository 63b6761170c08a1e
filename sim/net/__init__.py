"""Networks of links and flows, simulated packet by packet."""

from sim import compile_cache

compile_cache.use()
