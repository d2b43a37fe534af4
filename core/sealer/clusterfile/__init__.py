"""The Clusterfile: reading it, checking it, its schema."""
