"""Asking a page of this machine, without a proxy of the environment in between."""

from __future__ import annotations

import http.client
import json
import urllib.request

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def fetch(url: str, seconds: float = 2.0) -> str | None:
    """The body of a page that answers 200, else None."""
    try:
        with _OPENER.open(url, timeout=seconds) as answer:
            return str(answer.read().decode("utf-8", "replace"))
    except (OSError, http.client.HTTPException):
        return None


def served_commit(service_url: str) -> str | None:
    """The commit that a sample service says it runs; None where it does not answer."""
    text = fetch(f"{service_url}/version.json")
    try:
        answer = json.loads(text) if text else {}
    except ValueError:
        return None
    commit = answer.get("commit")
    return str(commit) if commit else None
