"""Rollouts that deployments own are followed to their end, with all hosts asleep."""
