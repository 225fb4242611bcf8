"""The threads on which parallel loops run: one pool for all kernels of a process."""
