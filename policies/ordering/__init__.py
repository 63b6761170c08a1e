"""Request orders: one file per order, the contract in `base`."""

from sim import compile_cache

compile_cache.use()
