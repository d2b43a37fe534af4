"""Images that sealer did not build, made into cluster images: their files become the rootfs."""
