"""Which host to start or stop, what to ask for again, whom to tell: snapshot, decision, action."""
