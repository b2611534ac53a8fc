"""What AWS may say, and the guard that is asked before every change."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from botocore.exceptions import EndpointConnectionError

from slipway.contracts.errors import WorldFailed, WrongUse
from slipway.rollout.api import Api
from tests import scripted_ecs as ecs
from tests.aws.answers import AwsFake
from tests.scripted_ecs import IMAGE, Fault, ScriptedEcs, denied
from tests.unit.slipway.rollout.running import run


def test_pass_role_is_judged_from_ecs_s_own_error() -> None:
    scripted = ScriptedEcs(faults={"RegisterTaskDefinition": Fault(
        "ClientException",
        "User: arn:aws:iam::222222222222:user/ci is not authorized to perform: iam:PassRole on "
        "resource: arn:aws:iam::222222222222:role/task",
    )})  # fmt: skip

    with pytest.raises(WorldFailed, match=r"not allowed: .*iam:PassRole.*role/task"):
        run(scripted, image=f"{IMAGE}:v8")
    assert (scripted.live, scripted.made("UpdateService")) == ("web:7", [])


@pytest.mark.parametrize(
    ("status", "name", "says"),
    [("INACTIVE", "web", "is INACTIVE"), ("ACTIVE", "wbe", "there is no service 'wbe'")],
)
def test_an_inactive_or_missing_service_is_wrong_use(status: str, name: str, says: str) -> None:
    scripted = ScriptedEcs()
    scripted.service["status"] = status

    with pytest.raises(WrongUse, match=says):
        run(scripted, service=name, image=f"{IMAGE}:v8")
    assert scripted.made("RegisterTaskDefinition") == []


@pytest.mark.parametrize(
    ("images", "fault", "refused", "skipped"),
    [
        ({"web:v8"}, None, False, ()),
        (set(), None, True, ()),
        (set(), denied("ecr:BatchGetImage"), False, ("not allowed",)),
        (set(), Fault("ServerException", "broken", 500), False, ("broken",)),
        (set(), Fault("RepositoryNotFoundException", "no"), True, ()),
    ],
    ids=["there", "not there", "denied", "not answered", "no repository"],
)
def test_an_image_in_ecr_must_be_there_unless_it_cannot_be_asked(
    images: set[str], fault: Fault | None, refused: bool, skipped: tuple[str, ...]
) -> None:
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(0.0), images=images)
    if fault is not None:
        scripted.faults["BatchGetImage"] = fault

    if refused:
        with pytest.raises(WrongUse, match="web"):
            run(scripted, image=f"{IMAGE}:v8", ecr=lambda: scripted.client("ecr"))
        assert scripted.made("RegisterTaskDefinition") == []
        return
    result = run(scripted, image=f"{IMAGE}:v8", ecr=lambda: scripted.client("ecr"))
    assert result.outcome == "succeeded"
    assert len(result.skipped) == len(skipped)
    assert all(text in found for text, found in zip(skipped, result.skipped, strict=True))


NO_REPOSITORY = Fault("RepositoryNotFoundException", "no")
CACHED = "docker-hub/library/nginx"


@pytest.mark.parametrize(
    ("repository", "caches", "faults", "says"),
    [
        (CACHED, ("quay", "docker-hub"), {}, "not in ECR yet: the pull-through cache 'docker-hub'"),
        (CACHED, ("docker-hub/",), {"BatchGetImage": NO_REPOSITORY}, "222222222222 yet: the pull-"),
        ("web", ("ROOT",), {}, "the pull-through cache 'ROOT' brings it at first use"),
        (CACHED, (), {"DescribePullThroughCacheRules": denied("ecr:DescribePullThroughCacheRules")},
         "is not in ECR, unless a pull-through cache brings it: not allowed"),
    ],
)  # fmt: skip
def test_an_image_that_a_pull_through_cache_brings_is_not_looked_for(
    repository: str, caches: tuple[str, ...], faults: dict[str, Fault], says: str
) -> None:
    # GIVEN an image that ECR gets at its first use
    healthy = ecs.becomes_healthy(0.0)
    scripted = ScriptedEcs(behaviour=healthy, images=set(), caches=caches, faults=faults)
    image = f"{IMAGE.removesuffix('web')}{repository}:1.27"
    # THEN it is rolled out, and it is said that it was not looked for
    result = run(scripted, images={"web": image}, ecr=lambda: scripted.client("ecr"))
    assert result.outcome == "succeeded"
    (skipped,) = result.skipped
    assert says in skipped


@pytest.mark.parametrize(
    ("repository", "caches", "faults"),
    [
        (CACHED, ("quay", "docker", "docker-hub/library/nginx", "library"), {}),
        ("web", (), {"DescribePullThroughCacheRules": denied("ecr:DescribePullThroughCacheRules")}),
        ("web", ("web",), {"BatchGetImage": NO_REPOSITORY}),
    ],
)
def test_an_image_of_no_pull_through_cache_must_be_there(
    repository: str, caches: tuple[str, ...], faults: dict[str, Fault]
) -> None:
    scripted = ScriptedEcs(images=set(), caches=caches, faults=faults)
    image = f"{IMAGE.removesuffix('web')}{repository}:1.27"
    with pytest.raises(WrongUse, match=r"(is not in ECR|no ECR repository 'web' in \d+)$"):
        run(scripted, images={"web": image}, ecr=lambda: scripted.client("ecr"))
    assert scripted.made("RegisterTaskDefinition") == []


def test_an_aws_that_stays_away_is_the_world_s_failure() -> None:
    scripted = ScriptedEcs(throttled=lambda _n: True)

    with pytest.raises(WorldFailed, match="ecs:DescribeServices was not answered: AWS is throttl"):
        run(scripted, image=f"{IMAGE}:v8")
    assert 30 < scripted.clock.now() - 1000.0 <= 61


class Network(AwsFake, service="ecs"):
    """A client whose calls end here: those up to `answered` are answered, no other is."""

    def __init__(self, answered: int) -> None:
        self.meta = SimpleNamespace(service_model=SimpleNamespace(service_name="ecs"))
        self._answered = answered

    def describe_services(self, *, services: list[str]) -> dict[str, object]:
        self._answered -= 1
        if self._answered < 0:
            raise EndpointConnectionError(endpoint_url="http://127.0.0.1:9/")
        return {}


@pytest.mark.parametrize(("answered", "patience"), [(0, 10.0), (1, 60.0)])
def test_a_service_that_never_answered_is_not_waited_for_as_one_that_did(
    answered: int, patience: float
) -> None:
    clock = ScriptedEcs().clock
    api, began = Api(Network(answered), clock), clock.now()
    for _ in range(answered):
        api.read("describe_services", services=["web"])

    with pytest.raises(WorldFailed, match="not answered: Could not connect to the endpoint"):
        api.read("describe_services", services=["web"])
    assert patience / 2 < clock.now() - began <= patience


def test_registering_waits_out_concurrent_attempts() -> None:
    # GIVEN an ECS that is busy registering for a while
    busy = "Too many concurrent attempts to create a new revision of the specified family"
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(0.0))
    scripted.faults["RegisterTaskDefinition"] = Fault("ClientException", busy)
    scripted.at(2.0, scripted.faults.clear)

    assert run(scripted, image=f"{IMAGE}:v8").outcome == "succeeded"


def test_the_guard_is_asked_before_every_change_and_never_for_a_look() -> None:
    # GIVEN a rollout that registers, updates, stops and (after a success) deregisters
    changes = {
        "RegisterTaskDefinition", "UpdateService", "StopServiceDeployment",
        "DeregisterTaskDefinition",
    }  # fmt: skip
    for behaviour in (ecs.crashes, ecs.becomes_healthy(1.0)):
        scripted = ScriptedEcs(behaviour=behaviour)
        asked: list[int] = []

        run(
            scripted,
            image=f"{IMAGE}:v8",
            max_definitions=1,
            guard=lambda s=scripted, a=asked: a.append(len(s.calls)),
        )

        # THEN right before each change, and only there, it was asked
        made = [i for i, (name, _) in enumerate(scripted.calls) if name in changes]
        assert asked == made


def test_a_lost_lock_stops_the_rollout_before_the_change() -> None:
    scripted = ScriptedEcs()

    def guard() -> None:
        raise WorldFailed("the lock was lost")

    with pytest.raises(WorldFailed, match="lock was lost"):
        run(scripted, image=f"{IMAGE}:v8", guard=guard)
    assert scripted.made("RegisterTaskDefinition") == []


def test_a_key_id_in_aws_s_own_words_is_not_passed_on() -> None:
    said = Fault("UnrecognizedClientException", "The key AKIAIOSFODNN7EXAMPLE is invalid")
    scripted = ScriptedEcs(faults={"DescribeServices": said})

    with pytest.raises(WorldFailed, match="The key <key id> is invalid"):
        run(scripted, image=f"{IMAGE}:v8")


def test_the_guard_is_asked_again_before_a_change_is_tried_again() -> None:
    # GIVEN an ECS that throttles the registration once, and a lock that is lost meanwhile
    scripted = ScriptedEcs(throttled=lambda n: n == 3)
    asked: list[int] = []

    def guard() -> None:
        asked.append(1)
        if len(asked) > 1:
            raise WorldFailed("the lock was lost")

    # WHEN / THEN it is not tried again
    with pytest.raises(WorldFailed, match="lock was lost"):
        run(scripted, image=f"{IMAGE}:v8", guard=guard)
    assert scripted.made("RegisterTaskDefinition") == []
