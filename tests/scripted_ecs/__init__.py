"""An ECS whose answers change over time, by script. No network, no waiting.

`ScriptedEcs` holds one service and its task definitions as JSON, the way the wire has them. What a
deployment does after UpdateService is a *behaviour*: a function that schedules changes of the state
at seconds after the update. Real botocore clients talk to it (`client()`), so that serialisation,
parsing, validation and events are the real ones; `serve()` puts the same thing behind a port.
"""

from tests.aws.wire import Fault, Json
from tests.scripted_ecs.behaviours import (
    becomes_healthy,
    breaker_fails,
    breaker_rolls_back,
    crashes,
    never_steady,
    rolls_back,
    session_ends,
    superseded,
)
from tests.scripted_ecs.operations import ScriptedEcs, serve
from tests.scripted_ecs.state import (
    ACCOUNT,
    CLUSTER,
    FAMILY,
    IMAGE,
    PREFIX,
    SERVICE,
    Behaviour,
    FakeClock,
    denied,
    digest_of,
    timestamp,
)

__all__ = [
    "ACCOUNT",
    "CLUSTER",
    "FAMILY",
    "IMAGE",
    "PREFIX",
    "SERVICE",
    "Behaviour",
    "FakeClock",
    "Fault",
    "Json",
    "ScriptedEcs",
    "becomes_healthy",
    "breaker_fails",
    "breaker_rolls_back",
    "crashes",
    "denied",
    "digest_of",
    "never_steady",
    "rolls_back",
    "serve",
    "session_ends",
    "superseded",
    "timestamp",
]
