"""A file per verb: its options, its help, what it does; found by name in `main.VERBS`."""
