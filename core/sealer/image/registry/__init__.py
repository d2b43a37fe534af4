"""Moves images between the local store and registries, by the OCI distribution specification.

https://github.com/opencontainers/distribution-spec
"""
