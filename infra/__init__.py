"""What builds, checks and releases: scripts behind the Makefile, container files, and makers of artefacts."""
