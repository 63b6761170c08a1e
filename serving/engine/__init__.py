"""The batch engine: the rules of vLLM V1 in a readable and in a fast implementation."""
