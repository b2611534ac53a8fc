"""The builds of CodeBuild of a local run, as the tests look at them."""

from __future__ import annotations

import json
import time
from typing import Any

from slipway.contracts.messages import TIP, BuildRequest
from slipway.contracts.table.builders import PARTITION, BuilderRow
from tests.e2e.chain import Chain

FIRST_SECONDS = 300.0
"""Five builds begin at once, on two processors."""


def builds(chain: Chain) -> list[dict[str, Any]]:
    """All builds of the project, newest first."""
    codebuild = chain.prod("codebuild")
    ids = codebuild.list_builds_for_project(projectName=chain.names.builder_project)["ids"]
    return list(codebuild.batch_get_builds(ids=ids)["builds"]) if ids else []


def pipeline_of(build: dict[str, Any]) -> str:
    given = build["environment"]["environmentVariables"]
    return str(next(each["value"] for each in given if each["name"] == "SLIPWAY_PIPELINE"))


def live(chain: Chain, pipeline: str | None = None) -> list[dict[str, Any]]:
    """The builds that are not over."""
    found = [build for build in builds(chain) if not build["buildComplete"]]
    return [build for build in found if pipeline in (None, pipeline_of(build))]


def until_no_build(chain: Chain) -> None:
    """Every builder has ended, by itself."""
    chain.until("the end of every build", lambda: not live(chain), FIRST_SECONDS)


TOKEN_KNOWN, TOKEN_FORGOTTEN = 100.0, 300.0
"""Seconds since a StartBuild: it is repeated; or the project's builds are looked through."""


def lose_answer(chain: Chain, pipeline: str, since: float = TOKEN_FORGOTTEN) -> BuilderRow:
    """The pipeline's row as if StartBuild's answer had been lost then; the row before."""
    before = chain.table.builders.get(pipeline)
    chain.prod("dynamodb").update_item(
        TableName=chain.state.table,
        Key={"pk": {"S": PARTITION}, "sk": {"S": pipeline}},
        UpdateExpression="SET #s = :asked, asked_at = :at REMOVE build_id, ended_at",
        ExpressionAttributeNames={"#s": "state"},
        ExpressionAttributeValues={
            ":asked": {"S": "asked"},
            ":at": {"N": str(time.time() - since)},
        },
    )
    return before


def let_decide(chain: Chain, function: str) -> None:
    """Run it with an event that brings nothing new: it decides, and does no more."""
    settled = chain.deployments("sample")[0].request_id
    request = BuildRequest(
        request_id=settled, pipeline="sample", target=TIP, pushed_by="a test",
        pushed_at=0.0, reason="redeploy",
    )  # fmt: skip
    of_starter = {"Records": [{"Sns": {"Message": request.to_json()}}]}
    event = of_starter if function == "starter" else {"Records": []}
    answer = chain.prod("lambda").invoke(
        FunctionName=chain.names.function(function), Payload=json.dumps(event).encode()
    )
    assert "FunctionError" not in answer, answer["Payload"].read()
