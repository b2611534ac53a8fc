"""What is told: the row of a deployment, the close notice, the log."""
