"""Gap closed: IAM looks at nothing where CodeBuild is asked about builds.

BatchGetBuilds and StopBuild are about the projects of the builds that they name, each of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ministack.core import iam_actions
from ministack.core.responses import get_account_id, get_region

from local.emulator.extension.iam_rules import EXTRA_CHECKS
from local.emulator.extension.private import wrap

Data = dict[str, Any]


def build_projects(data: Data, prefix: str) -> list[str]:
    """The ARNs of the projects whose builds a call names, each once, in order."""
    named = data.get("ids") or [data.get("id")]
    builds = [name for name in named if isinstance(name, str)]
    projects = [name.rpartition(":build/")[2].partition(":")[0] for name in builds]
    return [f"{prefix}project/{name}" for name in dict.fromkeys(projects)]


def _projects(body: bytes) -> list[str]:
    try:
        data = json.loads(body or b"{}")
    except ValueError:
        return []
    prefix = f"arn:aws:codebuild:{get_region()}:{get_account_id()}:"
    return build_projects(data, prefix) if isinstance(data, dict) else []


def _first_project(extract: Callable[..., str]) -> Callable[..., str]:
    def extract_arn(service: str, *request: Any) -> str:
        # ministack's own: method, path, headers, body, query, region, account.
        found = _projects(request[3]) if service == "codebuild" else []
        return found[0] if found else extract(service, *request)

    return extract_arn


def _other_projects(tags: Callable[..., Data]) -> Callable[..., Data]:
    def context(service: str, action: str, body: bytes, query: Data) -> Data:
        known: Data = tags(service, action, body, query)
        others = _projects(body)[1:] if service == "codebuild" else []
        return {**known, EXTRA_CHECKS: [(action, one, {}) for one in others]} if others else known

    return context


def install() -> None:
    """Correct ministack's IAM; to be installed after `iam_rules`, which asks the extra checks."""
    wrap(iam_actions, "extract_resource_arn", _first_project)
    wrap(iam_actions, "request_tag_context", _other_projects)
