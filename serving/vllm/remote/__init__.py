"""What runs under vLLM's Python: the standard library and vLLM, nothing else of ours."""
