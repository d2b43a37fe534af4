"""Cluster images: the local store, builds, archives."""
