"""A real S3 server (SeaweedFS) on loopback."""
