"""Logs: JSON lines with their fields, build output shipped in batches, nothing that ever fails."""

from __future__ import annotations

import json
import logging
import threading
from typing import Any

import pytest

from build_agent.telling.logs import (
    BACKLOG,
    BATCH_BYTES,
    TAIL_LINES,
    BuildLog,
    CloudWatchShipper,
    JsonFormatter,
    Log,
    set_up,
)
from slipway.following.result import console_link
from tests.aws.answers import AwsFake, refused


class Logs(AwsFake, service="logs"):
    """CloudWatch Logs; `fail` makes it refuse."""

    def __init__(self) -> None:
        self.puts: list[tuple[str, list[dict[str, Any]]]] = []
        self.made: list[str] = []
        self.fail = False

    def create_log_stream(self, *, logGroupName: str, logStreamName: str) -> dict[str, Any]:
        if logStreamName in self.made:
            raise refused("logs", "CreateLogStream", "ResourceAlreadyExistsException")
        self.made.append(logStreamName)
        return {}

    def put_log_events(
        self, *, logGroupName: str, logStreamName: str, logEvents: Any
    ) -> dict[str, Any]:
        if self.fail:
            raise refused("logs", "PutLogEvents", "ThrottlingException")
        self.puts.append((logStreamName, logEvents))
        return {}


def test_a_line_is_one_json_object_with_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    set_up("info").bind(correlation_id="c1").info("deployment\nbegins", pipeline="wéb")
    logging.getLogger("slipway").handlers.clear()
    logging.getLogger("slipway").propagate = True
    (line,) = capsys.readouterr().out.splitlines()
    said = json.loads(line)
    assert (said["message"], said["correlation_id"]) == ("deployment\nbegins", "c1")
    assert (said["level"], said["pipeline"]) == ("INFO", "wéb")


def test_an_exception_is_part_of_the_line() -> None:
    record = logging.LogRecord("x", logging.ERROR, "f", 1, "m", (), None)
    try:
        raise ValueError("no")
    except ValueError as error:
        record.exc_info = (ValueError, error, error.__traceback__)
    assert "ValueError: no" in json.loads(JsonFormatter().format(record))["exception"]


def test_a_build_log_keeps_its_last_lines_shortened() -> None:
    output = BuildLog(None, "s")
    for number in range(1000):
        output(f"{number} " + "x" * 5000)
    assert len(output.tail) == TAIL_LINES
    assert output.tail[-1].startswith("999 ")
    assert len(output.tail[-1]) == 500


def test_lines_are_shipped_in_order_a_stream_for_each_deployment() -> None:
    client = Logs()
    shipper = CloudWatchShipper(client, "/slipway/builds", now=lambda: 5.0)
    for stream, line in (("a", "1"), ("a", ""), ("b", "3"), ("a", "4")):
        shipper.ship(stream, line)
    shipper.flush()
    shipped = [(s, [e["message"] for e in events]) for s, events in client.puts]
    # An empty message is refused by PutLogEvents: it becomes a space.
    assert shipped == [("a", ["1", " ", "4"]), ("b", ["3"])]
    assert client.puts[0][1][0]["timestamp"] == 5000


def test_a_batch_stays_within_the_limits_of_put_log_events() -> None:
    client = Logs()
    shipper = CloudWatchShipper(client, "g")
    for _ in range(3000):
        shipper.ship("a", "ü" * 9000)
    shipper.flush()
    for _stream, events in client.puts:
        size = sum(len(e["message"].encode()) + 26 for e in events)
        assert size < BATCH_BYTES + 4 * 8192 + 26
        assert len(events) <= 1000
    assert sum(len(events) for _s, events in client.puts) == 3000


def test_what_cannot_be_shipped_is_dropped_and_counted() -> None:
    client = Logs()
    client.fail = True
    shipper = CloudWatchShipper(client, "g")
    shipper.ship("a", "1")
    shipper.flush()
    assert shipper.dropped == 1
    for _ in range(BACKLOG + 10):
        shipper.ship("a", "x")
    assert shipper.dropped == 11


def test_stopping_ships_what_waits() -> None:
    client = Logs()
    shipper = CloudWatchShipper(client, "g")
    shipper.start()
    shipper.ship("a", "last words")
    shipper.stop()
    assert client.puts[0][1][0]["message"] == "last words"


def test_a_link_quotes_as_the_console_does() -> None:
    link = console_link("aws", "eu-west-1", "/slipway/builds", "web-1")
    assert link == (
        "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1"
        "#logsV2:log-groups/log-group/$252Fslipway$252Fbuilds/log-events/web-1"
    )


def test_fields_of_a_bound_logger_do_not_reach_its_origin() -> None:
    origin = Log()
    origin.bind(pipeline="web")
    assert origin._fields == {}


class SlowLogs(Logs):
    """CloudWatch Logs that answers only when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.let = threading.Event(), threading.Event()

    def put_log_events(self, **request: Any) -> dict[str, Any]:
        self.asked.set()
        assert self.let.wait(10)
        return super().put_log_events(**request)


def test_a_deployments_end_waits_for_lines_that_are_on_their_way() -> None:
    # GIVEN lines that the shipper's thread has taken and CloudWatch has not answered for
    client = SlowLogs()
    shipper = CloudWatchShipper(client, "g")
    shipper.start()
    output = BuildLog(shipper, "a")
    output("last words")
    shipper._wake.set()
    assert client.asked.wait(10)
    assert shipper.drain("a", 0.0) is False  # taken is not shipped
    # WHEN the deployment ends
    ending = threading.Thread(target=output.end)
    ending.start()
    client.let.set()
    ending.join(10)
    # THEN its end comes after its last line
    assert not ending.is_alive()
    assert [e["message"] for _, events in client.puts for e in events] == ["last words"]
    shipper.stop()


def test_logs_that_cannot_be_shipped_hold_nothing_up() -> None:
    client = Logs()
    client.fail = True
    shipper = CloudWatchShipper(client, "g")
    shipper.start()
    BuildLog(shipper, "a")("lost")
    assert shipper.drain("a", 10) is True
    assert shipper.dropped == 1
    shipper.stop()


def test_a_deployments_end_does_not_wait_for_another_ones_output() -> None:
    # GIVEN two deployments, of which one writes without an end
    client = SlowLogs()
    client.let.set()
    shipper = CloudWatchShipper(client, "g")
    shipper.ship("ends", "last words")
    for number in range(2500):
        shipper.ship("goes on", str(number))
    # WHEN one batch of each is shipped
    for _ in range(2):
        batch = shipper._take()
        assert batch is not None
        shipper._put(batch[0], [{"timestamp": t, "message": m} for t, m in batch[1]])
        shipper._is_done()
    # THEN the other one's are in turn, and nobody waits for the rest of them
    assert [stream for stream, _ in client.puts] == ["ends", "goes on"]
    assert shipper.drain("ends", 0.0) is True
    assert shipper.drain("goes on", 0.0) is False
