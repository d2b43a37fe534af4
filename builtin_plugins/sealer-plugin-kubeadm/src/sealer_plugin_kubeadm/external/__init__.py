"""Kubernetes that sealer did not make: applications are installed onto it."""
