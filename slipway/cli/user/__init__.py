"""The user's own side: their git, files, terminal, signals and login."""
