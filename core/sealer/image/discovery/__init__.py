"""Which container images the files of a rootfs mention. Nothing here fetches anything."""
