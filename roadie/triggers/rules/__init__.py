"""What follows from an event: for which models, whether a run starts, and with which arguments. Pure."""
