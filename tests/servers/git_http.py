"""A real Git server over HTTP (git http-backend) with a user and a password."""
