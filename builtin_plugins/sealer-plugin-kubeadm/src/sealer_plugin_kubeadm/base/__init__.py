"""The base image of Kubernetes: what it is made of, where that comes from, and the context that `sealer build` gets."""
