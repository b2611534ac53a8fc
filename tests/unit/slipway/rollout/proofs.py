"""Deployments that are proved once they are steady: requests, a task, alarms, by script."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from slipway.rollout import OneOffTask, RolloutPlan, Timeouts
from slipway.rollout.looks import SmokeSeen
from slipway.rollout.plan import Smoke
from tests import scripted_ecs as ecs
from tests.aws.answers import AwsFake
from tests.aws.wire import Fault
from tests.scripted_codedeploy import ScriptedCodeDeploy, by_codedeploy
from tests.scripted_ecs import IMAGE, Json, ScriptedEcs, denied
from tests.unit.slipway.rollout import test_codedeploy
from tests.unit.slipway.rollout.stepwise import World
from tests.unit.slipway.rollout.test_registering import exits

TIMES = Timeouts(healthy=60, drain=60, rollback=60, task=30)
URL = "https://shop.example.com/health?key=secret"
SMOKE = Smoke(url=URL, within=20.0)
CHECK = OneOffTask(command=("check",))
BAKE: dict[str, Any] = {"alarms": ("errors", "slow"), "bake": 60.0}
STEADY = 2.0
NEW = "web:8"


def answers(well: Callable[[float], bool]) -> Callable[[ScriptedEcs], Callable[[Smoke], SmokeSeen]]:
    """The new revision answers well so many seconds after it came, as `well` says."""

    def of(scripted: ScriptedEcs) -> Callable[[Smoke], SmokeSeen]:
        def visit(smoke: Smoke) -> SmokeSeen:
            assert smoke.url == URL
            made = scripted.service["deployments"][0].get("createdAt", 0.0)
            ok = scripted.live != NEW or well(scripted.clock.now() - made)
            return SmokeSeen(ok=ok, told=f"answered {200 if ok else 503}")

        return visit

    return of


@dataclass
class CloudWatch(AwsFake, service="cloudwatch"):
    """Alarms by name: their state and since when, at each moment. `fault`: what it answers."""

    scripted: ScriptedEcs
    alarms: Mapping[str, Callable[[float], tuple[str, float]]]
    fault: Fault | None = None
    asked: list[tuple[str, ...]] = field(default_factory=list)
    meta: Any = field(
        default_factory=lambda: SimpleNamespace(
            service_model=SimpleNamespace(service_name="cloudwatch")
        )
    )

    def describe_alarms(self, *, AlarmNames: list[str]) -> Json:
        if self.fault is not None:
            raise self.fault
        self.asked.append(tuple(AlarmNames))
        now = self.scripted.clock.now()
        found = []
        for name in AlarmNames:
            if name in self.alarms:
                state, since = self.alarms[name](now)
                found.append(
                    {
                        "AlarmName": name,
                        "StateValue": state,
                        "StateReason": "3 datapoints were over 1.0",
                        "StateTransitionedTimestamp": datetime.fromtimestamp(since, UTC),
                    }
                )
        return {"MetricAlarms": found, "CompositeAlarms": []}


def quiet(_now: float) -> tuple[str, float]:
    return "OK", 500.0


def unknown(_now: float) -> tuple[str, float]:
    return "INSUFFICIENT_DATA", 500.0


def off_before(_now: float) -> tuple[str, float]:
    return "ALARM", 500.0


def goes_off(at: float) -> Callable[[float], tuple[str, float]]:
    """At that moment of the scripted clock, which begins at 1000."""
    return lambda now: ("ALARM", at) if now >= at else ("OK", 500.0)


def off_again(now: float) -> tuple[str, float]:
    """In ALARM before, quiet from 1025 on, and off again at 1050."""
    if now < 1025:
        return "ALARM", 500.0
    return ("OK", 1025.0) if now < 1050 else ("ALARM", 1050.0)


def watched(
    fault: Fault | None = None, **alarms: Callable[[float], tuple[str, float]]
) -> Callable[[ScriptedEcs], Callable[[], CloudWatch]]:
    return lambda scripted: lambda: CloudWatch(scripted, alarms, fault)


QUIET = watched(errors=quiet, slow=unknown)


def proved(
    *, well: Callable[[float], bool] = lambda _age: True, seen: Any = QUIET,
    scripted: ScriptedEcs | None = None, **plan: Any,
) -> World:  # fmt: skip
    scripted = scripted or ScriptedEcs(behaviour=ecs.becomes_healthy(STEADY), one_off=exits(web=0))
    given = {"cluster": "prod", "service": "web", "timeouts": TIMES, "image": f"{IMAGE}:v8"}
    means = {"visit": answers(well), "cloudwatch_client": seen}
    return World(RolloutPlan(**(given | plan)), scripted, means)


def with_task(code: int | None, **plan: Any) -> World:
    one_off = exits(web=code) if code is not None else (lambda _ecs, task: task)
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(STEADY), one_off=one_off)
    return proved(scripted=scripted, post_task=CHECK, **plan)


def refused_task() -> World:
    faults = {"RunTask": denied("ecs:RunTask")}
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(STEADY), faults=faults)
    return proved(scripted=scripted, post_task=CHECK)


def watched_by_ecs() -> World:
    """Both alarms stand in the service's own deployment configuration; one goes off."""
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(STEADY))
    names = ["errors", "slow"]
    scripted.service["deploymentConfiguration"]["alarms"] = {
        "alarmNames": names, "enable": True, "rollback": True,
    }  # fmt: skip
    return proved(scripted=scripted, seen=watched(errors=goes_off(1010.0), slow=quiet), **BAKE)


def overtaken() -> World:
    """Somebody else deploys another revision while it is baking."""
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(STEADY))

    def behave(fake: ScriptedEcs, new: Json) -> None:
        ecs.becomes_healthy(STEADY)(fake, new)
        fake.at(20.0, lambda: ecs.superseded(fake, new))

    scripted.behaviour = behave
    return proved(scripted=scripted, **BAKE)


def through_codedeploy(well: bool, **plan: Any) -> World:
    plays = [test_codedeploy.WELL, test_codedeploy.WELL]
    deploy = ScriptedCodeDeploy(by_codedeploy(ScriptedEcs()), plays=plays)
    made = proved(scripted=deploy.ecs, smoke=SMOKE, **plan)
    made.means["visit"] = lambda _scripted: (
        lambda _smoke: SmokeSeen(ok=well, told=f"answered {200 if well else 503}")
    )
    made.codedeploy = deploy
    return made


BAD = "answered 503, for 20 s; wanted 200; rolled back: web:7 runs again"


@dataclass(frozen=True, kw_only=True)
class Proof:
    """How a proof ends."""

    make: Callable[[], World]
    outcome: str = "failed"
    live: str = "web:7"
    says: str


PROOFS = {
    "the smoke test passes": Proof(
        make=lambda: proved(smoke=SMOKE), outcome="succeeded", live=NEW, says="",
    ),
    "the smoke test passes in time": Proof(
        make=lambda: proved(smoke=SMOKE, well=lambda age: age > 10), outcome="succeeded", live=NEW,
        says="",
    ),
    "the smoke test fails": Proof(
        make=lambda: proved(smoke=SMOKE, well=lambda _age: False),
        says=f"the smoke test failed: GET https://shop.example.com/health {BAD}",
    ),
    "the smoke test fails, and its revision goes": Proof(
        make=lambda: proved(smoke=SMOKE, well=lambda _age: False, discard_failed=True), says=BAD
    ),
    "the smoke test fails, and nothing is to go back": Proof(
        make=lambda: proved(smoke=SMOKE, well=lambda _age: False, rollback=False), live=NEW,
        says="not rolled back",
    ),
    "the task afterwards ends well": Proof(
        make=lambda: with_task(0), outcome="succeeded", live=NEW, says=""
    ),
    "tasks before and afterwards": Proof(
        make=lambda: with_task(0, task=OneOffTask(command=("migrate",))), outcome="succeeded",
        live=NEW, says="",
    ),
    "the task afterwards fails": Proof(
        make=lambda: with_task(3), says="the task after the deployment failed: task "
    ),
    "the task afterwards takes too long": Proof(
        make=lambda: with_task(None), says="was not over after 30 s; stopped it"
    ),
    "the task afterwards is refused": Proof(make=refused_task, says="it was not started"),
    "the alarms stay quiet": Proof(make=lambda: proved(**BAKE), outcome="succeeded", live=NEW,
        says=""),
    "an alarm goes off": Proof(
        make=lambda: proved(seen=watched(errors=goes_off(1030.0), slow=quiet), **BAKE),
        says="alarm 'errors' went off after the deployment (3 datapoints were over 1.0); rolled",
    ),
    "an alarm was off before": Proof(
        make=lambda: proved(seen=watched(errors=off_before, slow=quiet), **BAKE),
        outcome="succeeded", live=NEW, says="",
    ),
    "an alarm was off before, and is again": Proof(
        make=lambda: proved(seen=watched(errors=off_again, slow=quiet), **BAKE),
        says="alarm 'errors' went off",
    ),
    "ECS watches the alarms itself": Proof(
        make=watched_by_ecs, outcome="succeeded", live=NEW, says=""
    ),
    "there is no such alarm": Proof(
        make=lambda: proved(seen=watched(slow=quiet), **BAKE),
        says="there is no metric alarm 'errors' in CloudWatch",
    ),
    "the alarms may not be looked at": Proof(
        make=lambda: proved(seen=watched(denied("cloudwatch:DescribeAlarms")), **BAKE),
        says="the alarms could not be looked at: not allowed",
    ),
    "somebody else deploys meanwhile": Proof(
        make=overtaken, outcome="superseded", live="web:5", says="while it was baking"
    ),
    "all of it": Proof(
        make=lambda: with_task(0, smoke=SMOKE, max_definitions=2, **BAKE), outcome="succeeded",
        live=NEW, says="",
    ),
    "CodeDeploy, and the smoke test passes": Proof(
        make=lambda: through_codedeploy(True), outcome="succeeded", live=NEW, says=""
    ),
    "CodeDeploy, and the smoke test fails": Proof(
        make=lambda: through_codedeploy(False), outcome="rolled_back",
        says="the smoke test failed: GET https://shop.example.com/health answered 503, for 20 s; "
        "wanted 200; rolled back: web:7 runs again",
    ),
    "CodeDeploy, and nothing is to go back": Proof(
        make=lambda: through_codedeploy(False, rollback=False), live=NEW, says="not rolled back"
    ),
}  # fmt: skip
