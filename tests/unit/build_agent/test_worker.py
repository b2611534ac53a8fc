"""The worker's main path, and what it does with every request that is not simply deployed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from slipway.contracts.installation import ImageSettings
from tests.aws.answers import instead
from tests.unit.build_agent.fakes import A, B
from tests.unit.build_agent.world import (
    START,
    World,
    make_installation,
    make_pipeline,
    make_request,
)


def test_a_push_is_deployed_announced_settled(world: World) -> None:
    # GIVEN a push
    request = make_request(1, commit_id=A)
    world.send(request)
    worker = world.worker()
    # WHEN the worker does a round
    assert worker.step() == "worked"
    # THEN the service runs the image by digest, and everything that says so is there
    (plan,) = world.services.plans
    digest = next(iter(world.images.ecr.values()))
    assert plan.images == {"app": f"127.0.0.1:4566/app@{digest}"}
    assert world.outcome(request) == "succeeded"
    assert world.table.wants.all() == []
    assert world.queued() == (0, 0)
    (result,) = world.topic.results
    assert (result.status, result.commit and result.commit.id) == ("succeeded", A)
    (row,) = world.table.deployments.newest("web", 5)
    assert row.announced_at is not None
    assert set(row.stages) >= {"received", "fetch", "build", "push", "register", "update", "wait"}
    assert set(result.timings) >= {"fetch", "build", "push", "update", "wait"}
    assert world.row.running_commit == world.row.handled_tip == A
    assert world.row.running_digest == digest
    assert world.images.kept == {"web": digest}
    assert world.table.locks.get("web").holder == ""
    assert world.keeper.held == ()


def test_what_an_attempt_before_had_built_is_not_tagged_as_what_runs(world: World) -> None:
    # GIVEN a commit that runs, and is tagged
    world.send(make_request(1, commit_id=A))
    worker = world.worker()
    worker.step()
    (row,) = world.table.deployments.newest("web", 5)
    assert world.images.kept == {"web": world.row.running_digest}
    # WHEN the images in its row are those of an attempt at an older tip
    stale = dict.fromkeys(row.images, "sha256:" + "0" * 64)
    worker._ends._keep_images(row, stale)
    # THEN what runs stays tagged
    assert world.images.kept == {"web": world.row.running_digest}


def test_a_request_is_deleted_when_the_row_owns_its_rollout_and_told_when_that_is_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN what each effect finds done
    request = make_request(1)
    world.send(request)
    worker = world.worker()
    seen: dict[str, Any] = {}
    publish = world.topic.publish

    def publishing(**message: Any) -> Any:
        (row,) = world.table.deployments.newest("web", 1)
        seen["at publish"] = (row.status, row.announced_at, world.queued()[0])
        return publish(**message)

    def deleting(**members: Any) -> Any:
        (row,) = world.table.deployments.newest("web", 1)
        lock = world.table.locks.get("web")
        seen["at delete"] = (row.is_followed, lock.deployment == row.deployment_id, len(world.sent))
        seen["wants"] = world.table.wants.all()
        return delete(**members)

    instead(world.topic, "publish", publishing)
    delete = world.sqs.delete_message_batch
    instead(world.sqs, "delete_message_batch", deleting)
    # WHEN
    worker.step()
    # THEN handed over, the follow message sent, then deleted; recorded, then announced
    assert seen == {
        "at delete": (True, True, 1),
        "wants": [],
        "at publish": ("succeeded", None, 0),
    }
    assert world.outcome(request) == "succeeded"


def test_the_newest_of_many_pushes_is_built_once(world: World) -> None:
    # GIVEN 133 pushes, unordered, some twice
    requests = [make_request(n) for n in range(133)]
    world.send(*requests[20:], *requests[:20], *requests[40:60], requests[-1])
    # WHEN
    world.worker().step()
    # THEN one deployment settles them all
    (result,) = world.topic.results
    assert result.request_id == requests[-1].request_id
    assert result.settles >= 133
    assert world.images.built == [A]
    assert {world.outcome(r) for r in requests[:-1]} == {"superseded"}
    assert world.queued() == (0, 0)
    assert world.table.wants.all() == []


def test_each_pipeline_with_work_is_deployed(world: World) -> None:
    web, api = make_request(2), make_request(1, pipeline="api")
    world.send(web, api)
    world.worker().step()
    # (the one fake service is both's: who comes second finds that its image runs)
    assert {r.pipeline for r in world.topic.results} == {"api", "web"}
    assert (world.outcome(api), world.outcome(web)) == ("succeeded", "unchanged")


def test_one_commit_s_images_go_into_their_containers_in_one_rollout(aws: Any) -> None:
    # GIVEN a pipeline that builds two images of its repository, for a service of two containers
    web, proxy = (
        ImageSettings(
            repository=name,
            repository_uri=f"127.0.0.1:4566/{name}",
            dockerfile=f"{name}/Dockerfile",
            containers=(name,),
        )
        for name in ("app", "proxy")
    )
    world = World(aws, make_installation(pipelines=(make_pipeline(images=(web, proxy)),)))
    world.services.images[1] = {"app": "127.0.0.1:4566/app:1", "proxy": "127.0.0.1:4566/proxy:1"}
    request = make_request(1)
    world.send(request)
    # WHEN it is pushed to
    world.worker().step()
    # THEN both are built from that commit, and one revision has both
    assert world.outcome(request) == "succeeded"
    assert world.images.built == [A, A]
    (plan,) = world.services.plans
    digests = {name: image.partition("@")[2] for name, image in plan.images.items()}
    assert set(digests) == {"app", "proxy"}
    assert digests["app"] != digests["proxy"]
    # AND each is known by a build key of its own, so that the next push rebuilds what it must
    assert len(world.images.ecr) == 2


def test_a_push_during_a_deployment_causes_exactly_one_more(world: World) -> None:
    # GIVEN two pushes while the first is built
    first, second, third = make_request(1), make_request(2), make_request(3)

    def push_two() -> None:
        world.images.on_build = lambda: None
        world.send(second, third)
        world.source.tip = B

    world.images.on_build = push_two
    world.send(first)
    worker = world.worker()
    # WHEN
    worker.step()
    worker.step()
    worker.step()
    # THEN
    assert world.images.built == [A, B]
    outcomes = [world.outcome(r) for r in (first, second, third)]
    assert outcomes == ["succeeded", "superseded", "succeeded"]


def test_a_tip_that_runs_already_is_unchanged(world: World) -> None:
    first, second = make_request(1), make_request(2)
    worker = world.worker()
    world.send(first)
    worker.step()
    world.send(second)
    worker.step()
    assert world.outcome(second) == "unchanged"
    assert len(world.services.plans) == 1
    assert world.images.built == [A]


def test_a_branch_that_goes_a_b_a_ends_with_a(world: World) -> None:
    worker = world.worker()
    for number, tip in enumerate((A, B, A)):
        world.source.tip = tip
        world.send(make_request(number))
        worker.step()
    assert [r.status for r in world.topic.results] == ["succeeded"] * 3
    assert world.images.built == [A, B]
    assert world.row.running_commit == A


def test_the_same_layers_are_not_pushed(world: World) -> None:
    worker = world.worker()
    world.send(make_request(1))
    worker.step()
    world.source.tip, world.images.same = B, True
    world.send(make_request(2))
    worker.step()
    assert world.images.pushed == [A]
    assert world.topic.results[-1].status == "unchanged"
    assert world.row.running_commit == B


def test_a_forced_rebuild_is_a_build_of_its_own(world: World) -> None:
    worker = world.worker()
    world.send(make_request(1))
    worker.step()
    world.send(make_request(2, reason="redeploy", force_rebuild=True))
    worker.step()
    assert world.images.built == [A, A]
    assert world.topic.results[-1].status == "succeeded"


# --- poison
@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("{", "is not JSON"),
        ("[]", "must be an object"),
        ("null", "must be an object"),
        ('{"Type": "Notification", "Message": 3}', "Message"),
        (make_request(1).to_json().replace('"schema":1', '"schema":9'), "schema"),
        (make_request(1).to_json().replace('"web"', '"nope"'), "'nope' is not configured"),
        (make_request(1).to_json().replace('"web"', '"../x"'), "pipeline"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_what_is_no_request_is_a_dead_letter_with_a_notice(
    world: World, body: str, why: str
) -> None:
    # GIVEN a message that is none beside one that is
    request = make_request(2)
    world.send_body(body)
    world.send(request)
    # WHEN
    world.worker().step()
    # THEN it is kept and said, and the good one is deployed
    assert world.queued(world.dead) == (1, 0)
    alert = next(n.alert for n in world.topic.notices if n.alert is not None)
    assert alert.kind == "dead_letter"
    assert why in alert.text
    assert world.outcome(request) == "succeeded"
    assert world.queued() == (0, 0)


def test_a_request_in_an_sns_envelope_is_read(world: World) -> None:
    request = make_request(1)
    world.send_body(json.dumps({"Type": "Notification", "Message": request.to_json()}))
    world.worker().step()
    assert world.outcome(request) == "succeeded"


def test_a_duplicate_of_a_settled_request_does_nothing(world: World) -> None:
    request = make_request(1)
    worker = world.worker()
    world.send(request)
    worker.step()
    world.source.tip = B
    world.send_body(request.to_json())
    worker.step()
    assert len(world.topic.results) == 1
    assert world.queued() == (0, 0)


def test_time_is_taken_from_the_clock_alone(world: World) -> None:
    world.send(make_request(1))
    world.worker().step()
    assert world.topic.results[0].started_at == START
