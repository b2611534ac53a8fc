"""From a push to the answer over HTTP in the local run, hop by hop, beside the original's way."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import idling, rebuilding
from bench.cold_start import agent_start
from bench.contenders.original import Original, original_steps
from bench.local_run import LocalRun, local_run
from bench.report import Bound, Section
from local.hops import Watch
from local.waiting import wait_for

ROUNDS = 5
ORIGINAL_SLEEP = 300.0


def sections(work: Path) -> list[Section]:
    """A push to a sleeping and to a waking host, hop by hop, in a local run."""
    with local_run(work) as run:
        run.await_sleep()
        asleep = _push(run)
        run.keep_awake()
        awake = [_push(run) for _ in range(ROUNDS)]
        idle = idling.process_section(run)
        rebuilt = rebuilding.section(run)
        original = original_steps(run, work)
    return [_section(asleep, awake, original), rebuilt, idle]


@dataclass(frozen=True)
class Followed:
    """A push that answers over HTTP. Seconds since it began, by hop; seconds by stage."""

    git_push: float
    hops: dict[str, float]
    stages: dict[str, float]
    received: float

    @property
    def total(self) -> float:
        return self.hops["answers over HTTP"]

    @property
    def replacement(self) -> float:
        """From the update of the service to the new task's answer: ECS's own work."""
        return self.total - self.hops["update"]

    @property
    def boot_to_receive(self) -> float | None:
        """From the host's state `running` to the request in the agent's hands."""
        running = self.hops.get("host running")
        return None if running is None else self.received - running

    def beyond(self, themselves: float) -> float:
        """Seconds that neither git, docker (`themselves`) nor ECS needs."""
        return self.total - self.git_push - themselves - self.replacement


def _push(run: LocalRun) -> Followed:
    pushed = run.push()
    watch = Watch(run.sources, pushed)

    def through() -> bool:
        watch.look()
        return {"answers over HTTP", "close"} <= watch.sight.hops.keys()

    wait_for("the push's answer over HTTP", through, seconds=120, poll=0.05)
    deployment = run.ended(commit=pushed.commit_id)
    return Followed(
        git_push=pushed.ended_at - pushed.began_at,
        hops={hop.name: hop.at - pushed.began_at for hop in watch.sight.ordered},
        stages=dict(deployment.result.timings) if deployment.result else {},
        received=deployment.started_at - pushed.began_at,
    )


def _section(asleep: Followed, awake: Sequence[Followed], original: Original) -> Section:
    made = Section(
        title="Push to HTTP",
        about=(
            "The local run: real git, docker and containers. `Host awake` is the median of"
            f" {len(awake)} pushes. For `host asleep` the emulator boots a host in one second. EC2"
            " and the AMI need some twenty to forty seconds; that is not shown here. Beside it"
            " stands the shell script that did this before Slipway: the AWS CLI, git, docker and"
            " ecs-deploy's calls on the same repository. Its host is awake and its caches are warm"
            " as well."
        ),
        columns=("", "host asleep, s", "host awake, s"),
    )
    for name in dict.fromkeys([*asleep.hops, *(n for one in awake for n in one.hops)]):
        times = [one.hops[name] for one in awake if name in one.hops]
        middle = statistics.median(times) if times else ""
        made.rows.append((f"{name}, since the push", asleep.hops.get(name, ""), middle))
    for stage in sorted({stage for one in awake for stage in one.stages}):
        taken = statistics.median(one.stages.get(stage, 0.0) for one in awake)
        made.rows.append((f"stage {stage} took", asleep.stages.get(stage, ""), taken))
    beyond = statistics.median(one.beyond(original.themselves) for one in awake)
    made.rows += [
        ("host running → request received", asleep.boot_to_receive or "", ""),
        ("**beyond git, docker and ECS**", asleep.beyond(original.themselves), beyond),
        *((f"shell script: {step}", "", seconds) for step, seconds in original.seconds.items()),
        ("shell script, without its sleep of 300 s", "", original.whole),
    ]
    total = statistics.median(one.total for one in awake)
    build = statistics.median(one.stages.get("build", 0.0) for one in awake)
    slept = original.whole + ORIGINAL_SLEEP
    agent = agent_start()
    made.remarks = [
        f"Slipway took {total:.2f} s. The shell script took {original.whole:.2f} s, which is"
        f" {original.whole / total:.1f} times as long, and {slept / total:.0f} times with its sleep"
        f" of {ORIGINAL_SLEEP:.0f} s.",
        "`Beyond git, docker and ECS` is the whole without `git push`, without what the script's"
        " plain `git pull`, `docker build` and `docker push` of such a commit took in this run, and"
        " without the time from UpdateService to the new task's answer. What is left: the trigger,"
        " two topics and a queue, the tree of files, the look at ECR and the service, the login,"
        " the tags, the rows in the table, the new revision.",
    ]
    made.bounds = [
        Bound("push to HTTP, warm: s beyond git, docker and ECS", 2.0, beyond),
        Bound("push to HTTP, warm: s more than docker build", 10.0, total - build),
        Bound(
            "host running to request received, s",
            1.0,
            asleep.boot_to_receive or float("inf"),
            why_not=(
                f"the agent's Python modules take {agent['import']:.2f} s to load and its seven"
                f" clients {agent['clients']:.2f} s to make, botocore's both; the rest is the start"
                " of the process, its host row, the first receive and the lock"
            ),
        ),
    ]
    return made
