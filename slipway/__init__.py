"""The package that is installed: command line, rollouts, configuration, messages."""
