"""AWS by moto, as the agent's tests have it."""

from __future__ import annotations

from tests.unit.build_agent.conftest import _no_account, aws

__all__ = ["_no_account", "aws"]
