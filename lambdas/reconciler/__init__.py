"""Every five minutes, and when a host has stopped: what was left undone is done."""
