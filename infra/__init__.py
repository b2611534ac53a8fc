"""The two stacks, and their constructs in rooms by what they are for."""
