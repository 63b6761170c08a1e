"""Offline LLM serving: requests and traces, prefix tree, densities, the batch engine."""

from sim import compile_cache

compile_cache.use()
