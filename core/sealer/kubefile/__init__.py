"""The Kubefile: its grammar."""

from sealer.kubefile.parser import parse, read

__all__ = ["parse", "read"]
