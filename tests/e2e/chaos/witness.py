"""Who was told what, seen from outside: a queue of the tests' own on the request topic."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field

from slipway.contracts.messages import BuildRequest
from tests.e2e.chain import Chain

NAME = "chaos-witness"
READ_SECONDS = 120.0
"""A message whose handing out got lost is hidden for thirty."""


@dataclass
class Witness:
    """Keeps every build request that was accepted, by its id."""

    chain: Chain
    url: str = ""
    subscription: str = ""
    requests: dict[str, BuildRequest] = field(default_factory=dict)
    _looking: threading.Lock = field(default_factory=threading.Lock)

    def begin(self) -> None:
        """From now on every accepted request is seen."""
        sqs, sns = self.chain.prod("sqs"), self.chain.prod("sns")
        topic = self.chain.state.request_topic_arn
        self.url = sqs.create_queue(QueueName=NAME)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])
        arn = arn["Attributes"]["QueueArn"]
        allow = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        sqs.set_queue_attributes(QueueUrl=self.url, Attributes={"Policy": policy})
        subscribed = sns.subscribe(
            TopicArn=topic,
            Protocol="sqs",
            Endpoint=arn,
            Attributes={"RawMessageDelivery": "true"},
            ReturnSubscriptionArn=True,
        )
        self.subscription = subscribed["SubscriptionArn"]

    def end(self) -> None:
        self.chain.prod("sns").unsubscribe(SubscriptionArn=self.subscription)
        self.chain.prod("sqs").delete_queue(QueueUrl=self.url)

    def look(self) -> dict[str, BuildRequest]:
        """All that was accepted since the beginning; cases side by side look one by one."""
        with self._looking:
            self.chain.until("the end of the witness's queue", self._has_read_all, READ_SECONDS)
            return dict(self.requests)

    def _has_read_all(self) -> bool:
        """What was handed out in an answer that got lost is still in the queue, and comes again."""
        self._read()
        return self.chain.depth(NAME) == 0

    def _read(self) -> None:
        sqs = self.chain.prod("sqs")
        while found := sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for message in found:
                request = BuildRequest.from_json(message["Body"])
                self.requests[request.request_id] = request
                sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
