"""A deployment's rollout, followed to its end by whoever is at hand: an awake agent, the follower.

What is known of it is in the deployment's row (`state.py`); a step is claimed, taken and written
down (`follower.py`); its end is recorded, told and cleared up after (`ending.py`).
"""
