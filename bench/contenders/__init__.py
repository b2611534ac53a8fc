"""What is measured beside Slipway: each a program of its own, as short as it can be."""
