"""Each Lambda dies once with all its retries: the push is deployed all the same."""

from __future__ import annotations

from local.waiting import wait_until
from tests.e2e.chain import Chain

RECONCILED_SECONDS = 240.0


def test_a_push_survives_the_death_of_every_function(chain: Chain) -> None:
    # GIVEN a trigger, a starter and a stopper whose next event is lost to them
    chain.until_asleep()
    names = chain.names
    starter, stopper = names.function("starter"), names.function("stopper")
    # the request is heard of twice: first for the follower, then for a build host
    chain.kill_runs(names.trigger_function, starter, starter, stopper)

    # WHEN somebody pushes
    pushed = chain.push("nobody hears of this one")

    # THEN the reconciler sees that the branch is ahead, and that there is work and nobody awake;
    # it is called more often than by its schedule, for the test to be short
    reconciler = names.function("reconciler")
    chain.until(
        "the answer with the commit",
        lambda: chain.call(reconciler, wait=True) and chain.serves() == pushed.commit_id,
        seconds=RECONCILED_SECONDS,
        poll=3.0,
    )
    row = chain.until_ended(pushed)
    assert row.reason == "drift"

    # THEN the host sleeps in the end, and each lost event is kept, with an alarm that Slack shows
    chain.until_asleep()
    assert chain.depth(names.failed_pushes, chain.dev("sqs")) == 1
    assert chain.depth(names.failures) == 3
    chain.until("the alarm", lambda: chain.notices("failures", since=pushed.began_at), seconds=120)


def test_a_schedule_that_nobody_hears_is_kept(chain: Chain) -> None:
    # GIVEN a reconciler that dies in all its runs
    function, queue = chain.names.function("reconciler"), chain.names.failures
    before = chain.depth(queue)

    def is_kept() -> bool:
        # WHEN the schedule calls it; once more if a stopped host's event took one of the deaths
        chain.kill_runs(function)
        chain.call(function, wait=False)
        return wait_until(lambda: chain.depth(queue) > before, seconds=30) or False

    # THEN the event is in its failure queue
    chain.until("the kept event", is_kept, seconds=120)
