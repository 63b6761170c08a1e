"""CUTLASS's templates for NVIDIA GPUs: what a kernel is, which are worth trying, which may fuse."""
