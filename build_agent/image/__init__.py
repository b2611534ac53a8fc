"""The image: its build key, the build, what failed in it, the push, the disk."""
