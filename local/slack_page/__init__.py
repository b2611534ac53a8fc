"""A Slack channel on one machine: takes what an incoming webhook takes, shows what Slack shows."""
