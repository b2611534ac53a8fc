"""Where no host drains the build queue: its messages become rows that builders receive."""
