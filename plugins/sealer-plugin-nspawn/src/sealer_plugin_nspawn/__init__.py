"""The provider NSPAWN: hosts of a cluster, made on this machine with systemd-nspawn."""
