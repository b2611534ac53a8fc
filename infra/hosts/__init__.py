"""The build hosts: image, network, role, the agent on them, the repositories that they push to."""
