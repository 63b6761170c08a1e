"""Offline LLM serving: requests and traces, prefix tree, densities, the batch engine."""
