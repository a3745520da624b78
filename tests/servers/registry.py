"""A real OCI registry (distribution) on loopback."""
