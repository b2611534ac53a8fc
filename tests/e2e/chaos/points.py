"""Where in a deployment an agent can be made to die: right after AWS answered a certain call.

A point is read off the call itself, so production code knows nothing of it:

| point | the answer that was just given |
|---|---|
| `receive` | SQS handed out build requests |
| `in <stage>` | the table noted that the stage begins |
| `tagged` | ECR gave the pushed image one more tag (the build tag is the last) |
| `handed over` | the table has it that the deployment's row owns the rollout |
| `registered`, `updated` | ECS has the new revision; ECS took it for the service |
| `recorded` | the table has the outcome |
| `announced` | SNS took the close notice |
| `marked` | the table has it that SNS took it |
| `settled` | the table has the outcome of a request that was not handed over |
| `deleted` | SQS deleted the request |

Of a builder, whose requests are rows: `receive` is the table's word that it holds one, `deleted`
that it is deleted, `done` that nothing is left to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slipway.contracts.table.builders import PARTITION as BUILDER
from slipway.contracts.table.pending import PARTITION as PENDING

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Point:
    """`subject`: what the call was about: a deployment, a tag, a task definition."""

    name: str
    subject: str = ""

    @property
    def pipeline(self) -> str:
        """Of a subject that is a deployment."""
        return self.subject.rsplit("-", 2)[0]


def point_of(operation: str, asked: Values, answered: Values) -> Point | None:
    """The point that a successful call stands for; `asked` and `answered` as boto3 has them."""
    match operation:
        case "ReceiveMessage":
            return Point("receive") if answered.get("Messages") else None
        case "UpdateItem":
            return _of_update(asked)
        case "PutImage":
            return Point("tagged", asked["imageTag"])
        case "RegisterTaskDefinition":
            return Point("registered", answered["taskDefinition"]["taskDefinitionArn"])
        case "UpdateService":
            return Point("updated", asked.get("taskDefinition", ""))
        case "TransactWriteItems":
            return _of_transaction(asked)
        case "Publish":
            kind = asked.get("MessageAttributes", {}).get("kind", {}).get("StringValue")
            return Point("announced") if kind == "deployment" else None
        case "PutItem":
            key = asked["Item"]["pk"]["S"]
            return Point("settled", key) if key.startswith("SETTLED#") else None
        case "DeleteMessageBatch":
            return Point("deleted")
        case "DeleteItem":
            return Point("deleted") if asked["Key"]["pk"]["S"] == PENDING else None
    return None


def _of_update(asked: Values) -> Point | None:
    expression, subject = asked["UpdateExpression"], asked["Key"]["sk"]["S"]
    if "stages.#stage" in expression:
        return Point(f"in {asked['ExpressionAttributeValues'][':stage']['S']}", subject)
    if "announced_at" in expression:
        return Point("marked", subject)
    return _of_builder(asked["Key"]["pk"]["S"], asked)


def _of_builder(partition: str, asked: Values) -> Point | None:
    if partition == PENDING and "receives = :more" in asked["UpdateExpression"]:
        return Point("receive")
    if partition == BUILDER and ":done" in asked["ExpressionAttributeValues"]:
        is_said = asked["UpdateExpression"].startswith("SET #s = :done")
        return Point("done") if is_said else None
    return None


def _of_transaction(asked: Values) -> Point | None:
    for write in asked["TransactItems"]:
        update = write.get("Update", {})
        if "ended_at = :ended" in update.get("UpdateExpression", ""):
            return Point("recorded", update["Key"]["sk"]["S"])
        if "rollout = :rollout" in update.get("UpdateExpression", ""):
            return Point("handed over", update["Key"]["sk"]["S"])
    return None
