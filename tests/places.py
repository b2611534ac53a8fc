"""Where things are that tests read: the repository, the recorded events, the configurations."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The repository."""

EVENTS = ROOT / "tests" / "events"
"""Real payloads, as AWS and other tools send them."""

CONFIGURATIONS = ROOT / "tests" / "infra" / "configurations"
"""Configurations of an installation; `full.json` uses everything."""
