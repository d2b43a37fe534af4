"""sealer: Docker for whole clusters. This package is the kernel; everything else is a plugin."""

__version__ = "0.2.0"
