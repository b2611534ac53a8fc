"""Requests: received, sorted, superseded, leased, settled."""
