"""From a kernel to its CUDA source, in the convention of CUTLASS's own examples."""
