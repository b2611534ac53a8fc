"""What holds when the world is at rest."""

from __future__ import annotations

from itertools import pairwise

from slipway.contracts.messages import BuildRequest
from slipway.contracts.sentences import is_silent, with_kind
from slipway.contracts.table.deployments import DeploymentRow
from slipway.rollout import short
from tests.simulation.deploying import PROOFS, Service, Violation
from tests.simulation.world import World

CAUSES = {
    "start_failed": {"no capacity", "start dies", "host dies"},
    "drift_skipped": {"dev side is silent", "call refused", "call lost", "call unanswered"},
}
"""Faults without which an alert of that kind is about nothing."""

TELLS_OF_ITS_PUSHES = ("succeeded", "unchanged", "failed", "rolled_back")
"""Outcomes whose notice tells of every push of the commit until then."""

EXPECTED = {
    "fetch": {"failed"},
    "build": {"failed"},
    "rollout": {"rolled_back"},
    "worker": {"rolled_back"},
    "kill": {"failed", "gave_up"},
    "smoke": {"rolled_back"},
    "task": {"rolled_back"},
    "alarm": {"rolled_back"},
}
"""How a commit may end that has something wrong with it."""
OF_ALL = frozenset(EXPECTED) - {"worker"}
"""What is wrong with a commit for the first service; `worker` is with the second one alone."""

OBEYED, OBEYED_IN_FAULTS = 70.0, 1500.0
"""Seconds from a cancel to an outcome that may be a success all the same: two looks; or a claim
whose holder died, and the schedule's looks, some of them lost.
"""
RECEIVES = 120
"""Receives of one message that are never reached (the queue's backstop is above)."""


def check_at_rest(world: World) -> None:
    _every_request_has_its_outcome(world)
    _no_alert_is_about_nothing(world)
    _nothing_is_left_of_who_is_configured_no_more(world)
    for pipeline in world.repositories:
        rows = world.table.deployments.newest(pipeline, 200)
        if pipeline in world.unconfigured:
            rows = [row for row in rows if not _was_given_up_by_a_host(world, row)]
        _every_outcome_was_told(world, rows)
        _a_row_names_the_commit_that_was_told(rows)
        if pipeline in world.unconfigured:
            continue
        _a_cancel_is_obeyed(world, rows)
        _no_push_was_told_twice(world, rows)
        _the_right_commit_runs(world, pipeline, rows)
        _the_table_knows_what_runs(world, pipeline, rows)
        _all_new_all_old_or_said(world, pipeline, rows)
    if world.queues["build"].most_receives > RECEIVES:
        raise Violation(f"a request was received {world.queues['build'].most_receives} times")


def _no_alert_is_about_nothing(world: World) -> None:
    for notice_id in world.slack.posted:
        kind = notice_id.split("/")[1] if notice_id.startswith("alert/") else ""
        if kind in CAUSES and not any(world.weather.happened[fault] for fault in CAUSES[kind]):
            raise Violation(f"an alert about nothing was told: {notice_id}")


def _every_request_has_its_outcome(world: World) -> None:
    settled = world.table.requests.settled(world.accepted)
    for request_id, request in world.accepted.items():
        if request_id in settled or request_id in _dead_letters(world):
            continue
        if not _is_dead_letter(world, request):
            raise Violation(f"a request of {request.pipeline} ({request.reason}) has no outcome")


def _dead_letters(world: World) -> set[str]:
    """The requests in the build queue's dead letters, where their pipeline is configured no more.

    What such a pipeline is still asked for never becomes a row: the reconciler gives it up. The
    follower leaves it to its queue, which makes a dead letter of it after so many receives.
    """
    queues = (world.queues["dead letters"], world.follow_queue)
    bodies = [message.body for queue in queues for message in queue.messages.values()]
    found = [BuildRequest.from_json(body) for body in bodies if "request_id" in body]
    return {request.request_id for request in found if request.pipeline in world.unconfigured}


def _was_given_up_by_a_host(world: World, row: DeploymentRow) -> bool:
    """Hosts make a dead letter of a request whose pipeline they do not know, and look no further:
    what was begun for it stays as it is, unless its want is there.
    """
    return bool(world.hosts) and row.result is None and row.request_id in _dead_letters(world)


def _nothing_is_left_of_who_is_configured_no_more(world: World) -> None:
    """What was given up on without a deployment is a dead letter."""
    asked = [r.request_id for r in world.accepted.values() if r.pipeline in world.unconfigured]
    given_up = {
        name
        for name, one in world.table.requests.settled(asked).items()
        if one.outcome == "gave_up"
    }
    if given_up - _dead_letters(world):
        raise Violation("a request was given up on in silence")


def _is_dead_letter(world: World, request: BuildRequest) -> bool:
    """SNS gave up on bringing it to the queue: it lies in that subscription's dead-letter queue.

    All the same it must have an outcome if its want was noted and no other request took the want
    over: that of a newer push, or another one of the same push.
    """
    if request.request_id in world.queued:
        return False
    taken_over = any(
        r.pipeline == request.pipeline and r.is_tip and r.pushed_at >= request.pushed_at
        for r in world.accepted.values()
        if r.request_id != request.request_id
    )
    return taken_over or request.request_id not in world.started


def _every_outcome_was_told(world: World, rows: list[DeploymentRow]) -> None:
    for row in rows:
        if row.status == "gave_up" and not world.queues["dead letters"].messages:
            raise Violation("a request was given up on, and there is no dead letter")
        if row.result is None:
            raise Violation(f"deployment {row.deployment_id} has no outcome")
        if row.status == "superseded":
            continue
        times = world.slack.posted.get(row.deployment_id, 0)
        if is_silent(row.result, told=False):
            if times:
                raise Violation(f"a push that concerns others was told: {row.deployment_id}")
            continue
        if times == 0:
            raise Violation(f"nobody was told of {row.deployment_id} ({row.status})")
        if times > 1 and row.deployment_id not in world.slack.excused:
            raise Violation(f"{row.deployment_id} was told {times} times")


def _a_row_names_the_commit_that_was_told(rows: list[DeploymentRow]) -> None:
    """What `history` shows is what was built: not what somebody else has fetched for it."""
    for row in rows:
        told = row.result.commit if row.result else None
        if told is not None and row.commit is not None and told.id != row.commit.id:
            raise Violation(f"{row.deployment_id} was of {told.id[-4:]}, and names another commit")


def _a_cancel_is_obeyed(world: World, rows: list[DeploymentRow]) -> None:
    """What somebody has cancelled does not go on to succeed, but for what was about to."""
    patience = OBEYED if not world.weather.kinds else OBEYED_IN_FAULTS
    for row in rows:
        asked = world.cancelled.get(row.deployment_id)
        late = asked is not None and (row.ended_at or 0.0) - asked > patience
        if late and row.status == "succeeded":
            raise Violation(f"{row.deployment_id} was cancelled, and went on to succeed")


def _no_push_was_told_twice(world: World, rows: list[DeploymentRow]) -> None:
    """One push, one notice that tells of it: a second one of a commit tells of a later push.

    What was given up on is tried again by the next request, and told again; and so is what an
    operator's rollback or redeployment came after, or a rollout that another one overtook.
    """
    told = sorted(filter(_counts, rows), key=lambda r: r.ended_at or 0.0)
    for first, second in pairwise(told):
        if first.commit is None or second.commit != first.commit:
            continue
        if not (_is_of_a_push(first) and _is_of_a_push(second)):
            continue
        if not _moved_to(world, second, first.commit.id, since=first.ended_at or 0.0):
            raise Violation(
                f"a push was told twice: {second.deployment_id} ({second.status}) is of the commit"
                f" that {first.deployment_id} ({first.status}) had told of"
            )


def _counts(row: DeploymentRow) -> bool:
    """Whether it was told, or may have changed what runs."""
    if row.result is not None and is_silent(row.result, told=False):
        return False
    return row.status != "superseded" or row.task_definition_after is not None


def _is_of_a_push(row: DeploymentRow) -> bool:
    return row.reason in ("push", "drift") and row.status in TELLS_OF_ITS_PUSHES


def _moved_to(world: World, row: DeploymentRow, commit: str, *, since: float) -> bool:
    repository = world.repositories[row.pipeline]
    moves = zip(repository.tips, repository.moved_at, strict=True)
    return any(tip == commit and at > since for tip, at in moves)


def _the_right_commit_runs(world: World, pipeline: str, rows: list[DeploymentRow]) -> None:
    """The last push runs, or a notice says why it does not and something good runs."""
    repository, services = world.repositories[pipeline], services_of(world, pipeline)
    if not all(service.steady for service in services):
        raise Violation(f"{pipeline} is in the middle of a rollout")
    if _a_rollback_stands(world, pipeline, rows):
        return
    _what_was_not_proved_does_not_run(world, services, rows)
    tip, run = repository.tip, [service.commit for service in services]
    if len(repository.tips) == 1 or set(run) == {tip}:
        return
    if all(_is_untouched(world, pipeline, commit, tip) for commit in run):
        return
    told = [r for r in rows if r.commit is None or r.commit.id == tip]
    ended = {r.status for r in told}
    for service, kinds in zip(services, (OF_ALL, OF_ALL - {"rollout"} | {"worker"}), strict=False):
        if repository.bad.get(service.commit) in kinds - set(PROOFS):
            raise Violation(f"{service.name} runs {service.commit[-4:]}, which is bad")
    expected = EXPECTED.get(repository.bad.get(tip, ""), set())
    said = world.table.pipelines.get(pipeline).mixed is not None and "failed" in ended
    gave_up = said or any(r.status == "gave_up" for r in rows)
    excused = any(map(_was_edited, told))
    excused = excused or any(map(_is_cancelled, told)) or _made_way_for_a_rollback(rows, told)
    if not gave_up and not ended & expected and not excused:
        raise Violation(
            f"{pipeline} runs {', '.join(one[-4:] for one in run)}, its tip is {tip[-4:]}"
            f" ({', '.join(sorted(map(str, ended)))})"
        )


def _was_edited(row: DeploymentRow) -> bool:
    """Somebody has changed a scheduled task between the look and the change: it is refused."""
    return "was changed by somebody else" in str(row.result and row.result.cause)


def _what_was_not_proved_does_not_run(
    world: World, services: list[Service], rows: list[DeploymentRow]
) -> None:
    """But where its proof was given up on: that is told."""
    if any(row.status == "gave_up" for row in rows):
        return
    for service in services:
        kind = world.repositories[service.pipeline].bad.get(service.commit)
        if kind in PROOFS:
            raise Violation(f"{service.name} runs {service.commit[-4:]}, which is bad: {kind}")


def services_of(world: World, pipeline: str) -> list[Service]:
    """The services of a pipeline, in order."""
    return [
        world.services[one.service] for one in world.installation.pipeline(pipeline).per_service
    ]


def _all_new_all_old_or_said(world: World, pipeline: str, rows: list[DeploymentRow]) -> None:
    """Two services run versions of one deployment, or the pipeline's row says that they do not.

    And what the last outcome says of each of them is what it runs.
    """
    services, row = services_of(world, pipeline), world.table.pipelines.get(pipeline)
    if len(services) == 1 and pipeline not in world.families:
        return
    runs = {service.name: short(service.arn(service.primary)) for service in services}
    runs |= _named_by_targets(world, pipeline)
    if len(_digests(world, pipeline, services)) > 1 and not _stays(rows):
        is_said = row.mixed is not None and all(
            f"{name} {now}" in row.mixed or f"{name} not known" in row.mixed
            for name, now in runs.items()
        )
        if not is_said:
            raise Violation(f"{runs} are of different versions, and it says {row.mixed}")
    for failed in (r for r in rows if r.status in ("failed", "rolled_back", "cancelled")):
        there = (failed.result and failed.result.services) or ()
        if any(one.runs == "new" and one.touched for one in there):
            raise Violation(
                f"{failed.deployment_id} failed, and left the new version beside the old"
            )
    last = max((r for r in rows if r.result and r.result.services), default=None, key=_ended)
    for one in (last.result.services or ()) if last is not None and last.result else ():
        now = runs[with_kind(one, one.service)]
        if one.now is not None and one.now != now:
            raise Violation(f"{with_kind(one, one.service)} runs {now}, it was told: {one.now}")


def _named_by_targets(world: World, pipeline: str) -> dict[str, str]:
    """What each companion of the pipeline's services runs."""
    there = world.families.get(pipeline)
    if there is None:
        return {}
    names = {f"{kind} {name}": short(t.names) for (kind, name), t in there.targets.items()}
    shell = f"{pipeline}-shell"
    return {**names, f"task definition {shell}": f"{shell}:{there.newest(shell)}"}


def _digests(world: World, pipeline: str, services: list[Service]) -> set[str]:
    named = _named_by_targets(world, pipeline).values()
    of = world.families[pipeline].digest if named else None
    alone = {of(world, name) for name in named} if of is not None else set()
    return {service.digest for service in services} | alone


def _stays(rows: list[DeploymentRow]) -> bool:
    """The last success went back, and says that some companion stays as it was."""
    good = [r for r in rows if r.status in ("succeeded", "unchanged") and r.result]
    whole = (r for r in good if r.result and r.result.services and not r.result.untouched_since)
    last = max(whole, default=None, key=_ended)
    return last is not None and "stays as it is" in str(last.result and last.result.warning)


def _ended(row: DeploymentRow) -> float:
    return row.ended_at or 0.0


def _is_untouched(world: World, pipeline: str, runs: str, tip: str) -> bool:
    """The pipeline has paths, and nothing under them differs between what runs and the tip."""
    repository = world.repositories[pipeline]
    has_paths = bool(world.installation.pipeline(pipeline).paths)
    return has_paths and repository.content(runs) == repository.content(tip)


def _made_way_for_a_rollback(rows: list[DeploymentRow], told: list[DeploymentRow]) -> bool:
    """An operator's rollback took the tip's place, and somebody cancelled that one."""
    made_way = [row.ended_at or 0.0 for row in told if row.status == "superseded"]
    cancelled = [r.ended_at or 0.0 for r in rows if r.reason == "rollback" and _is_cancelled(r)]
    return bool(made_way) and max(cancelled, default=0.0) > max(made_way)


def _is_cancelled(row: DeploymentRow) -> bool:
    """Somebody ended it before it ran, or had it taken back."""
    return row.cancelled_by is not None and row.status in ("cancelled", "rolled_back")


def _the_table_knows_what_runs(world: World, pipeline: str, rows: list[DeploymentRow]) -> None:
    """The pipeline's row names the revision that runs, unless an attempt that ended changed it."""
    row = world.table.pipelines.get(pipeline)
    known = row.running_task_definition
    services = services_of(world, pipeline)
    runs = ", ".join(short(service.arn(service.primary)) for service in services)
    unknown = any(r.status in ("gave_up", "superseded") and r.task_definition_after for r in rows)
    if known and not unknown and known != runs:
        raise Violation(f"{pipeline} runs {runs}, the table says {known}")
    kept = {service.digest for service in services} == {world.kept.get(pipeline)}
    if row.running_deployment and not unknown and not kept:
        raise Violation(f"{pipeline} runs an image that ECR may remove")


def _a_rollback_stands(world: World, pipeline: str, rows: list[DeploymentRow]) -> bool:
    """Whether an operator's rollback is the last that took effect; it is then what runs.

    A push from before the rollback was asked for, and the drift check, must not undo it.
    """
    good = [
        r
        for r in rows
        if r.status in ("succeeded", "unchanged")
        and not (r.result is not None and r.result.untouched_since)
    ]
    rollbacks = [r for r in good if r.reason == "rollback"]
    if not rollbacks:
        return False
    rollback = max(rollbacks, key=lambda r: r.ended_at or 0.0)
    # By their ends: an attempt that failed may have begun before the rollback did.
    after = [r for r in good if (r.ended_at or 0.0) > (rollback.ended_at or 0.0)]
    for row in sorted(after, key=lambda r: r.ended_at or 0.0)[:1]:  # a newer push ends it
        if _pushed_at(world, row) <= (rollback.pushed_at or 0.0):
            raise Violation(f"{pipeline} was rolled back, and {row.reason} undid that")
    left = _left_by(rows, rollback)
    told = rollback.result.services if rollback.result is not None else None
    alone = [one.now for one in told or () if one.kind is None]
    wanted = alone or [short(rollback.task_definition_after)]
    run = [short(service.arn(service.primary)) for service in services_of(world, pipeline)]
    is_left = any(short(arn) in run for arn in left)
    if not after and run != wanted and not is_left:
        raise Violation(f"{pipeline} was rolled back, and runs something else")
    return not after


def _pushed_at(world: World, row: DeploymentRow) -> float:
    """When what it deployed was pushed; the drift check asks for the tip that there was then."""
    if row.reason != "drift":
        return row.pushed_at or 0.0
    moves = world.repositories[row.pipeline].moved_at
    return max(at for at in moves if at <= row.started_at)


def _left_by(rows: list[DeploymentRow], rollback: DeploymentRow) -> set[str]:
    """What newer pushes had brought to the service when the world, or a newer one, ended them."""
    return {
        row.task_definition_after
        for row in rows
        if row.status in ("gave_up", "superseded")
        and row.task_definition_after
        and (row.pushed_at or 0.0) > (rollback.pushed_at or 0.0)
    }
