"""The checks of `slipway doctor`, and what they find."""
