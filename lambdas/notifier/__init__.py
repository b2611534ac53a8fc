"""Notices queue to Slack: each close notice and alarm is posted once, late rather than never."""
