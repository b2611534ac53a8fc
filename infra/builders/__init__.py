"""Builds of CodeBuild as builders: the project, its role, and who receives where no host does."""
