"""Gap closed: an instance's user data is kept, but nobody can read it.

The metadata service gives it (`imds`), and DescribeInstanceAttribute answers with it, in base64 as
in EC2.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

from ministack.services import ec2

from local.emulator.extension.private import entry, need

Params = dict[str, Any]
Response = tuple[int, dict[str, str], bytes]


def user_data_of(instance: dict[str, Any]) -> bytes | None:
    """What the instance was launched with, decoded; None for nothing."""
    given = str(instance.get("UserData") or "")
    try:
        return base64.b64decode(given, validate=True) or None
    except (binascii.Error, ValueError):
        return given.encode()  # ministack takes it undecoded, too


def _attribute(original: Callable[[Params], Response]) -> Callable[[Params], Response]:
    def describe(params: Params) -> Response:
        instance_id = ec2._p(params, "InstanceId")
        instance = ec2._instances.get(instance_id)
        if instance is None or ec2._p(params, "Attribute") != "userData":
            return original(params)
        content = user_data_of(instance)
        value = f"<value>{base64.b64encode(content).decode()}</value>" if content else ""
        answer: Response = ec2._xml(
            200,
            "DescribeInstanceAttributeResponse",
            f"<instanceId>{instance_id}</instanceId><userData>{value}</userData>",
        )
        return answer

    return describe


def install() -> None:
    """Let DescribeInstanceAttribute answer with the user data."""
    for name in ("_p", "_xml", "_instances"):
        need(ec2, name)
    original = need(ec2, "_ACTION_MAP")["DescribeInstanceAttribute"]
    entry(ec2, "_ACTION_MAP", "DescribeInstanceAttribute", _attribute(original))
