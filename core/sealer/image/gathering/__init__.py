"""Getting the container images that a rootfs mentions: from archives, from the store, from registries."""
