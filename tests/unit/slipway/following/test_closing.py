"""Close notices as they are published."""

from __future__ import annotations

import json

from build_agent.host.identity import HostIdentity
from slipway.contracts.messages import CloseNotice, DeploymentResult
from slipway.following.closing import Closer
from tests.unit.build_agent.world import (
    START,
    FakeClock,
    Topic,
    make_installation,
    make_request,
)

HOST = HostIdentity("i-1", "2027-01-15T08:00:00+00:00", "us-east-1", "p")


def closer() -> tuple[Closer, Topic]:
    topic = Topic()
    return Closer(topic, make_installation(), HOST, FakeClock()), topic


def result(**changes: object) -> DeploymentResult:
    values: dict[str, object] = {
        "deployment_id": "web-20270115080000-abcdef", "pipeline": "web", "status": "failed",
        "stage": "build", "reason": "push", "request_id": make_request(1).request_id,
        "started_at": START, "ended_at": START + 9, "cause": "RUN make failed",
    }  # fmt: skip
    return DeploymentResult(**{**values, **changes})  # type: ignore[arg-type]


def test_an_outcome_is_json_for_machines_and_a_text_for_people() -> None:
    say, topic = closer()
    say.deployment(result())
    (published,) = topic.published
    assert published["TopicArn"] == "arn:aws:sns:us-east-1:222222222222:slipway-close"
    assert published["MessageStructure"] == "json"
    texts = json.loads(published["Message"])
    assert CloseNotice.from_json(texts["default"]).result == result()
    assert "RUN make failed" in texts["email"]
    assert not texts["email"].startswith("{")
    attributes = {k: v["StringValue"] for k, v in published["MessageAttributes"].items()}
    assert attributes == {"kind": "deployment", "status": "failed", "pipeline": "web"}
    assert len(published["Subject"]) < 100
    assert published["Subject"].isascii()


def test_an_outcome_of_a_pipeline_that_is_not_configured_any_more_is_told() -> None:
    say, topic = closer()
    say.deployment(result(pipeline="gone"))
    assert len(topic.notices) == 1


def test_a_notice_has_the_same_id_however_often_it_is_said() -> None:
    say, topic = closer()
    for _ in range(2):
        say.deployment(result())
        say.idle(3)
        say.dead_letter("m-1", "why")
    ids = [n.notice_id for n in topic.notices]
    assert ids[:3] == ids[3:]
    assert len(set(ids)) == 3


def test_an_idle_notice_names_host_boot_and_number() -> None:
    say, topic = closer()
    say.idle(3)
    (notice,) = topic.notices
    assert (notice.host_id, notice.boot, notice.idle_number) == ("i-1", HOST.boot, 3)
