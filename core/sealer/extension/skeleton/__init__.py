"""The files of a new plugin's package, as templates (`string.Template`)."""
