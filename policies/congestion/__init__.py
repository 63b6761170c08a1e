"""Congestion controllers: one file per controller, the contract in `base`."""

from sim import compile_cache

compile_cache.use()
