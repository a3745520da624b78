"""What senders say, as events: Alertmanager's webhook and API, pushes of the Git hosts."""
