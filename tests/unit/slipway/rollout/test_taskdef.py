"""The task definition goes through whole; only the image that was asked for changes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipway.contracts.errors import WrongUse
from slipway.contracts.image_reference import ImageReference
from slipway.rollout.api import Api
from slipway.rollout.taskdef import (
    Described,
    describe,
    differences,
    from_document,
    register,
    request_of,
    same_repository,
    with_images,
    with_tag,
)
from tests.scripted_ecs import ScriptedEcs

ECS = ScriptedEcs().client().meta.service_model
REGISTER = ECS.operation_model("RegisterTaskDefinition").input_shape
ADDED = set(ECS.shape_for("TaskDefinition").members) - set(REGISTER.members)
DIGEST = "sha256:" + "ab" * 32


def request(**images: str) -> dict[str, Any]:
    containers = [{"name": name, "image": image} for name, image in images.items()]
    return {"family": "web", "containerDefinitions": containers}


# --- which container -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "wanted", "changed"),
    [
        ("app:v1", "app:v2", True),
        ("app", "app:v2", True),
        (f"app@{DIGEST}", "app:v2", True),
        (f"app:v1@{DIGEST}", "app:v2", True),
        ("host:5000/app", "host:5000/app:v2", True),
        ("my-redis:v1", "redis:v2", False),
        ("redis-cache:v1", "redis:v2", False),
        ("host/redis:v1", "redis:v2", False),
        ("host.example.com/app:v1", "host-example.com/app:v2", False),
        ("hostXexample.com/app:v1", "host.example.com/app:v2", False),
    ],
)
def test_containers_match_by_their_whole_repository(there: str, wanted: str, changed: bool) -> None:
    # GIVEN a container with an image, beside a sidecar
    base = request(web=there, sidecar="envoy:v1")

    # WHEN an image is asked for by its repository
    image = ImageReference.parse(wanted)
    if not changed:
        # THEN another repository is none of ours, and what is there is listed
        with pytest.raises(WrongUse, match=r"there are: web \(.*\), sidecar \(envoy:v1\)"):
            same_repository(base, image)
        return
    assert same_repository(base, image) == {"web": wanted}


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ("host:5000/app", "host:5000/app:v2"),
        ("host:5000/app:v1", "host:5000/app:v2"),
        (f"app@{DIGEST}", "app:v2"),
        ("app", "app:v2"),
    ],
)
def test_tag_only_parses_each_image(there: str, expected: str) -> None:
    assert with_tag(request(web=there), "v2", ()) == {"web": expected}


def test_tag_only_can_be_bound_to_containers() -> None:
    base = request(web="app:v1", sidecar="envoy:v1")

    assert with_tag(base, "v2", ("web",)) == {"web": "app:v2"}
    with pytest.raises(WrongUse, match=r"no container 'db'.*web \(app:v1\), sidecar"):
        with_tag(base, "v2", ("db",))


def test_an_unknown_container_lists_those_there_are() -> None:
    with pytest.raises(WrongUse, match=r"no container 'db' in web; there are: web \(app:v1\)"):
        with_images(request(web="app:v1"), {"db": "app:v2"})


# --- nothing lost, nothing added --------------------------------------------------------------


def test_what_describe_adds_is_left_out_and_empty_lists_stay() -> None:
    # GIVEN a described definition, with what ECS adds, an empty list and a null
    scripted = ScriptedEcs()
    arn = scripted.add_definition({**request(web="app:v1"), "volumes": [], "pidMode": "task"})
    scripted.definitions[arn]["ipcMode"] = None
    scripted.definitions[arn] |= {"deregisteredAt": 1.7e9, "deleteRequestedAt": 1.7e9}
    assert set(scripted.definitions[arn]) >= ADDED

    # WHEN it becomes a request
    made = request_of(describe(Api(scripted.client(), scripted.clock), "web"), ECS)

    # THEN it is what was registered
    assert made == {**request(web="app:v1"), "volumes": [], "pidMode": "task"}


def test_tags_are_kept_but_for_those_that_aws_owns() -> None:
    # GIVEN a definition with tags
    tags = ({"key": "team", "value": "a"}, {"key": "aws:cloudformation:stack-id", "value": "s"})
    described = Described(definition=request(web="app:v1"), tags=tags)

    # THEN a request has the user's own, unless they are not wanted
    assert request_of(described, ECS)["tags"] == [{"key": "team", "value": "a"}]
    assert "tags" not in request_of(described, ECS, tags=False)
    assert "tags" not in request_of(Described(definition=request(web="app:v1")), ECS)


def test_fields_newer_than_botocore_go_through_at_every_depth() -> None:
    # GIVEN a definition with fields that this botocore has never heard of
    scripted = ScriptedEcs()
    unknown = {
        "family": "web",
        "quantumMode": {"entangled": True},
        "containerDefinitions": [
            {
                "name": "web",
                "image": "app:v1",
                "neuralPorts": [1, 2],
                "linuxParameters": {"initProcessEnabled": True, "futureFlag": "x"},
                "portMappings": [{"containerPort": 80, "teleport": "yes"}],
            }
        ],
    }
    scripted.add_definition(unknown)
    api = Api(scripted.client(), scripted.clock)

    # WHEN it is registered again with another image
    made = with_images(request_of(describe(api, "web"), ECS), {"web": "app:v2"})
    register(api, made)

    # THEN ECS got all of them, and only the image differs
    sent = scripted.made("RegisterTaskDefinition")[0]
    expected = {**unknown, "containerDefinitions": [
        {**unknown["containerDefinitions"][0], "image": "app:v2"}  # type: ignore[index]
    ]}  # fmt: skip
    assert sent == expected
    # AND the client is left as it was: the next registration is its own
    register(api, request(web="app:v3"))
    assert scripted.made("RegisterTaskDefinition")[1] == request(web="app:v3")


@pytest.mark.parametrize(
    "document",
    [
        {
            "taskDefinition": {**request(web="a"), "revision": 3},
            "tags": [{"key": "k", "value": "v"}],
        },
        {**request(web="a"), "revision": 3, "tags": [{"key": "k", "value": "v"}]},
    ],
    ids=["as described", "as registered"],
)
def test_a_file_may_hold_either_shape(document: dict[str, Any]) -> None:
    made = request_of(from_document(document), ECS)

    assert made == {**request(web="a"), "tags": [{"key": "k", "value": "v"}]}


@pytest.mark.parametrize("document", [{}, {"taskDefinition": []}, {"containerDefinitions": "x"}])
def test_a_file_without_containers_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(WrongUse, match="containerDefinitions"):
        from_document(document)


def test_differences_never_show_a_value_that_may_be_secret() -> None:
    # GIVEN two definitions that differ in the image, an environment value and a label
    secret = {"environment": [{"name": "PASSWORD", "value": "hunter2"}]}
    before = {"containerDefinitions": [{"name": "web", "image": "app:v1", **secret}]}
    changed = {"environment": [{"name": "PASSWORD", "value": "hunter3"}]}
    after = {"containerDefinitions": [{"name": "web", "image": "app:v2", **changed}]}

    # THEN each is named, and only what cannot be a secret is shown
    assert differences(before, after) == (
        "containerDefinitions[web].environment[PASSWORD].value: (a value) → (a value)",
        "containerDefinitions[web].image: app:v1 → app:v2",
    )


# --- whatever the model allows ----------------------------------------------------------------


def values_of(shape: Any, depth: int) -> st.SearchStrategy[Any]:
    """Values that botocore's `shape` allows, structures and lists down to `depth`."""
    least = int(shape.metadata.get("min", 0)) if shape.type_name == "string" else 0
    text = st.text("abcXYZ019 -_./:é", min_size=least, max_size=max(8, least))
    scalars = {
        "string": st.sampled_from(shape.enum) if getattr(shape, "enum", None) else text,
        "integer": st.integers(-5, 5000),
        "long": st.integers(-5, 2**40),
        "boolean": st.booleans(),
        "double": st.floats(0, 100, allow_nan=False),
    }
    if shape.type_name in scalars:
        return scalars[shape.type_name]
    if shape.type_name == "list":
        return st.lists(values_of(shape.member, depth), max_size=2)
    if shape.type_name == "map":
        return st.dictionaries(text, values_of(shape.value, depth), max_size=2)
    return structure_of(shape, depth - 1)


def structure_of(shape: Any, depth: int) -> st.SearchStrategy[dict[str, Any]]:
    members = {
        name: member
        for name, member in shape.members.items()
        if depth > 0 or member.type_name not in ("structure", "list", "map")
    }
    required = {n: values_of(shape.members[n], max(depth, 1)) for n in shape.required_members}
    optional = {n: values_of(m, depth) for n, m in members.items() if n not in required}
    return st.fixed_dictionaries(required, optional=optional)


def definitions() -> st.SearchStrategy[dict[str, Any]]:
    container = structure_of(REGISTER.members["containerDefinitions"].member, 3)
    named = st.lists(container, min_size=1, max_size=3).map(
        lambda found: [{**c, "name": f"c{i}", "image": f"app{i}:v1"} for i, c in enumerate(found)]
    )
    return st.tuples(structure_of(REGISTER, 4), named).map(
        lambda pair: {**pair[0], "family": "any", "containerDefinitions": pair[1]}
    )


@settings(
    max_examples=100,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    database=None,
)
@given(definition=definitions())
def test_any_definition_that_the_model_allows_survives_with_only_the_image_changed(
    definition: dict[str, Any],
) -> None:
    # GIVEN whatever botocore's model allows, registered and described by ECS with what it adds
    scripted = ScriptedEcs()
    wanted = {k: v for k, v in definition.items() if k != "tags"}
    tags = [t for t in definition.get("tags", []) if not t.get("key", "").startswith("aws:")]
    scripted.add_definition(wanted, tags=tags)
    api = Api(scripted.client(), scripted.clock)

    # WHEN a new revision is registered with another image of one container
    described = describe(api, "any")
    made = with_images(request_of(described, ECS), {"c0": f"app0@{DIGEST}"})
    register(api, made)

    # THEN ECS got the same definition and tags, with nothing changed but that image
    sent = scripted.made("RegisterTaskDefinition")[0]
    assert sent.pop("tags", []) == tags
    first, *others = wanted["containerDefinitions"]
    assert sent == {
        **wanted,
        "containerDefinitions": [{**first, "image": f"app0@{DIGEST}"}, *others],
    }
