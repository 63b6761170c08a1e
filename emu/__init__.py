"""Emulated networks: the kernel's own TCP between namespaces of this machine."""
