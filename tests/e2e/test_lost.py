"""Each Lambda dies once with all its retries: the push is deployed all the same."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

from tests.e2e.chain import Chain

EVENTS = Path(__file__).resolve().parents[1] / "events"
RUNS = 3  # an asynchronous run and its two retries
RECONCILED_SECONDS = 240.0


def kill_runs(chain: Chain, *functions: str) -> None:
    """The next three runs of each function die, so that its event is lost to it."""
    for function in functions:
        fault = {"service": "lambda-run", "action": function, "times": RUNS}
        url = f"{chain.state.endpoint_url}/_slipway/faults"
        body = json.dumps(fault).encode()
        request = urllib.request.Request(url, data=body, method="POST")  # noqa: S310 - our own
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            assert answer.status == 200


def test_a_schedule_that_nobody_hears_is_kept(chain: Chain) -> None:
    # GIVEN a reconciler that dies in all its runs
    function = chain.names.function("reconciler")
    kill_runs(chain, function)

    # WHEN the schedule calls it
    payload = (EVENTS / "schedule.json").read_bytes()
    chain.prod("lambda").invoke(FunctionName=function, InvocationType="Event", Payload=payload)

    # THEN the event is in its failure queue
    queue = chain.names.failures("reconciler")
    chain.until("the kept event", lambda: chain.depth(queue) > 0)


def reconcile(chain: Chain) -> bool:
    """What the schedule does every minute, now."""
    payload = (EVENTS / "schedule.json").read_bytes()
    function = chain.names.function("reconciler")
    answer = chain.prod("lambda").invoke(FunctionName=function, Payload=payload)
    return "FunctionError" not in answer


def test_a_push_survives_the_death_of_every_function(chain: Chain) -> None:
    # GIVEN a trigger, a starter and a stopper whose next event is lost to them
    chain.until_asleep()
    names = chain.names
    kill_runs(chain, names.trigger_function, names.function("starter"), names.function("stopper"))

    # WHEN somebody pushes
    pushed = chain.push("nobody hears of this one")

    # THEN the reconciler sees that the branch is ahead, and that there is work and nobody awake
    chain.until(
        "the answer with the commit",
        lambda: reconcile(chain) and chain.serves() == pushed.commit_id,
        seconds=RECONCILED_SECONDS,
        poll=3.0,
    )
    row = chain.until_ended(pushed)
    assert row.reason == "drift"

    # THEN the host sleeps in the end, and each lost event is kept, with an alarm that Slack shows
    chain.until_asleep()
    assert chain.depth(names.trigger_failures, chain.dev("sqs")) == 1
    assert chain.depth(names.failures("starter")) == 1
    assert chain.depth(names.failures("stopper")) == 1
    chain.until("the alarm", lambda: chain.notices("failures", since=pushed.began_at), seconds=120)
