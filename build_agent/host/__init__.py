"""The host: its identity, processes, clock, signals, systemd."""
