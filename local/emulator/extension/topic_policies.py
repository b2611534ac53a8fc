"""Gap closed: a topic that CloudFormation makes lets everybody publish, of whatever account.

SNS's own policy of a topic without one is for the topic's account alone (`AWS:SourceOwner`, which
no role's own call carries): there a role may publish only if its own policy says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ministack.core.responses import get_account_id
from ministack.services import sns
from ministack.services.cloudformation import provisioners

from local.emulator.extension.private import entry, need

Data = dict[str, Any]
Made = tuple[str, Data]

KIND = "AWS::SNS::Topic"
DEFAULT = "__default_statement_ID"


def for_its_account(policy: Data, account: str) -> Data:
    """The policy, its statement for everybody with SNS's condition; one of our own as it is."""
    condition = {"StringEquals": {"AWS:SourceOwner": account}}
    statements = [
        {**statement, "Condition": condition} if statement.get("Sid") == DEFAULT else statement
        for statement in policy["Statement"]
    ]
    return {**policy, "Statement": statements}


def _conditioned(create: Callable[..., Made]) -> Callable[..., Made]:
    def created(logical_id: str, properties: Data, stack: str) -> Made:
        arn, attributes = create(logical_id, properties, stack)
        of_topic = sns._topics[arn]["attributes"]
        policy = for_its_account(json.loads(of_topic["Policy"]), get_account_id())
        of_topic["Policy"] = json.dumps(policy)
        return arn, attributes

    return created


def install() -> None:
    """Make topics of templates as SNS makes them."""
    need(sns, "_topics")
    handlers = need(provisioners, "_RESOURCE_HANDLERS")[KIND]
    conditioned = {**handlers, "create": _conditioned(handlers["create"])}
    entry(provisioners, "_RESOURCE_HANDLERS", KIND, conditioned)
