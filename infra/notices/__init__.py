"""What a notice goes through: the close topic's queue, the notifier, e-mail."""
