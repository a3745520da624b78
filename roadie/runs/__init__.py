"""TODO: the tour of this room."""
