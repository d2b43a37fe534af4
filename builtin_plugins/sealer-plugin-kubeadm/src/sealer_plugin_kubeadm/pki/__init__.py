"""Certificates: authorities that are made once on this machine, and what they sign for each host."""
