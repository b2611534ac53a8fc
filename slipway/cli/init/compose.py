"""From the answers to a configuration's value and text. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

TYPES = {"arm64": "t4g.medium", "x86_64": "t3.medium"}
"""The cheapest for builds of up to five minutes (docs/benchmarks.md, cost model)."""
LONGEST = 40


@dataclass(frozen=True, kw_only=True)
class ServiceWanted:
    """An existing service, and what of it a configuration repeats."""

    cluster: str
    name: str
    family: str | None = None
    roles: list[str] = field(default_factory=list)
    code_deploy: tuple[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What `slipway init` was told or has found. `service` None: the sample."""

    name: str
    region: str
    dev_account: str
    prod_account: str
    pipeline: str
    repository: str
    create_repository: bool
    branch: str
    images: dict[str, list[str]]
    """Image repository to its containers."""
    create_images: set[str]
    service: ServiceWanted | None
    architecture: str
    ami: str | None
    emails: list[str]
    schema: str | None = None


def pipeline_name(text: str) -> str:
    """A pipeline's name that is like `text`: `Web_Shop` becomes `web-shop`."""
    words = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return re.sub(r"^[^a-z]+", "", words)[:LONGEST].strip("-") or "main"


def compose(wanted: Wanted) -> dict[str, Any]:
    """The configuration; what has a default is left out."""
    host = {"architecture": wanted.architecture, "instanceType": TYPES[wanted.architecture]}
    return {
        **({"$schema": wanted.schema} if wanted.schema else {}),
        "name": wanted.name,
        "region": wanted.region,
        "dev": {"account": wanted.dev_account},
        "prod": {"account": wanted.prod_account},
        "pipelines": [_pipeline(wanted)],
        "buildHost": {**host, **({"ami": wanted.ami} if wanted.ami else {})},
        "notices": {"slack": True, "emails": wanted.emails},
    }


def _pipeline(wanted: Wanted) -> dict[str, Any]:
    return {
        "name": wanted.pipeline,
        "repository": _made(wanted.repository, create=wanted.create_repository),
        "branch": wanted.branch,
        "images": [
            {
                "repository": _made(repository, create=repository in wanted.create_images),
                **({"containers": containers} if containers else {}),
            }
            for repository, containers in wanted.images.items()
        ],
        "service": {"sample": True} if wanted.service is None else _service(wanted.service),
    }


def _made(name: str, *, create: bool) -> dict[str, Any]:
    return {"name": name, **({"create": True} if create else {})}


def _service(service: ServiceWanted) -> dict[str, Any]:
    made: dict[str, Any] = {"cluster": service.cluster, "name": service.name}
    if service.family not in (None, service.name):
        made["family"] = service.family
    if service.roles:
        made["roles"] = service.roles
    if service.code_deploy is not None:
        application, group = service.code_deploy
        made["codeDeploy"] = {"application": application, "group": group}
    return made


def text_of(data: dict[str, Any], *, as_yaml: bool) -> str:
    """The configuration as its file holds it."""
    if not as_yaml:
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    import yaml

    return str(yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100))
