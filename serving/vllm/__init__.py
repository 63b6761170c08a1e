"""The real engine: vLLM in an environment and a process of its own, step for step."""
