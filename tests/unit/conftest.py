"""hypothesis without a time limit for an example: a busy machine is no fault of the code."""

from hypothesis import settings

settings.register_profile("slipway", deadline=None)
settings.load_profile("slipway")
