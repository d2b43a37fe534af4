"""Kubernetes by kubeadm: the base image that brings it, and the runtime that sets it up."""
