"""What happens after the answer: runs are started once, followed to their end, and told of."""
