"""Go templates and Config documents: what the files of a rootfs become on one host."""
