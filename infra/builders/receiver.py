"""The receiver: drains the build queue where there are no hosts, a row for each request."""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_lambda_event_sources as event_sources
from constructs import Construct

from infra.function import SlipwayFunction
from infra.permissions.arns import Arns
from infra.permissions.statements import (
    run_builders,
    send_to,
    use_table,
    work_on_queue,
)
from infra.requests.request_queue import RECEIVER_TIMEOUT, Requests
from infra.shared import Shared

BATCH = 10
TABLE = ("BatchGetItem", "GetItem", "PutItem", "Query", "UpdateItem")
"""No transaction, which would ask for more."""


class Receiver:
    """Made in the stack's own scope. Attribute: `function`."""

    def __init__(
        self,
        stack: Construct,
        *,
        shared: Shared,
        arns: Arns,
        requests: Requests,
        environment: Mapping[str, str],
    ) -> None:
        names = shared.names
        given_up = arns.queue(names.build_dead_letters)
        self.function = SlipwayFunction(
            stack,
            "Receiver",
            name="receiver",
            shared=shared,
            description="Slipway: a build request becomes a row that a builder works from.",
            statements=[
                work_on_queue("ReadRequests", arns.queue(names.build_queue)),
                send_to(given_up, "GiveUpRequests"),
                use_table(arns.table, TABLE),
                run_builders(arns.builder_project),
            ],
            environment={
                **environment,
                "SLIPWAY_DEAD_LETTERS_URL": requests.dead_letters.queue_url,
            },
            timeout=cdk.Duration.seconds(RECEIVER_TIMEOUT),
        )
        self.function.function.add_event_source(
            event_sources.SqsEventSource(
                requests.queue, batch_size=BATCH, report_batch_item_failures=True
            )
        )
