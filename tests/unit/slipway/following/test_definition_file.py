"""The task definition of the repository: what is read, filled in, and refused, by its path."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import botocore.session
import pytest

from slipway.contracts.errors import DeploymentFailed
from slipway.contracts.installation import ImageSettings, PipelineSettings
from slipway.following.definition_file import Written, written_definition
from tests.unit.slipway.following.three_ways import PIPELINE as ANY

MODEL = botocore.session.Session().get_service_model("ecs")
URI = "222222222222.dkr.ecr.eu-central-1.amazonaws.com"
ROLE = "arn:aws:iam::222222222222:role/web-task"
SECRET = "hunter2"
WEB = ImageSettings(repository="web", repository_uri=f"{URI}/web")
WORKER = ImageSettings(repository="worker", repository_uri=f"{URI}/worker")
PIPELINE = replace(ANY, images=(WEB,), family="web", task_definition="taskdef.json", roles=(ROLE,))
TWO = replace(PIPELINE, images=(WEB, WORKER))


def container(name: str = "web", image: str = "<IMAGE1_NAME>", **members: Any) -> dict[str, Any]:
    return {"name": name, "image": image, **members}


def text(*containers: Any, **members: Any) -> str:
    return json.dumps({"containerDefinitions": list(containers) or [container()], **members})


def written(source: str, pipeline: PipelineSettings = PIPELINE) -> Written:
    return written_definition(source, pipeline, MODEL)


def refused(source: str, pipeline: PipelineSettings = PIPELINE) -> str:
    with pytest.raises(DeploymentFailed) as failure:
        written(source, pipeline)
    assert failure.value.stage == "register"
    assert SECRET not in f"{failure.value.cause} {failure.value.log_tail}"
    assert failure.value.cause.startswith(f"{pipeline.task_definition}: ")
    return failure.value.cause


def test_it_is_taken_as_it_stands_in_the_services_family() -> None:
    found = written(text(container(memory=256), cpu="256", taskRoleArn=ROLE))

    assert found.definition == {
        "family": "web", "cpu": "256", "taskRoleArn": ROLE,
        "containerDefinitions": [container(memory=256)],
    }  # fmt: skip
    assert [image.containers for image in found.images] == [("web",)]


def test_what_describing_prints_is_taken_without_what_ecs_adds() -> None:
    answer = {
        "taskDefinition": {
            "taskDefinitionArn": "arn:aws:ecs:x", "revision": 7, "status": "ACTIVE",
            "family": "web", "containerDefinitions": [container()], "registeredBy": "me",
        },
        "tags": [{"key": "team", "value": "a"}, {"key": "aws:x", "value": "y"}],
    }  # fmt: skip

    assert written(json.dumps(answer)).definition == {
        "family": "web", "containerDefinitions": [container()],
        "tags": [{"key": "team", "value": "a"}],
    }  # fmt: skip


YAML = """
family: web
x: &level {name: LEVEL, value: debug}
containerDefinitions:
  - name: web
    image: <IMAGE1_NAME>
    environment: [*level]
"""


def test_yaml_is_read_by_the_files_name_with_its_references() -> None:
    pipeline = replace(PIPELINE, task_definition="deploy/task.yml")
    source = YAML.replace("x: &level", "tags: []\nvolumes: []\n#").replace("[*level]", "[]")

    found = written(source, pipeline)

    assert found.definition["containerDefinitions"][0]["environment"] == []
    assert "x: is no member that ECS takes here" in refused(YAML, pipeline)


def test_values_of_the_installation_are_set_as_by_taskdef() -> None:
    values = {"cpu": "512", "web.environment.LEVEL": "debug", "family": "web", "web.memory": "64"}

    found = written(
        text(container(environment=[{"name": "LEVEL", "value": "info"}]), cpu="256", family="app"),
        replace(PIPELINE, values=values),
    )

    (web,) = found.definition["containerDefinitions"]
    assert (found.definition["cpu"], web["memory"], found.definition["family"]) == (
        "512",
        64,
        "web",
    )
    assert web["environment"] == [{"name": "LEVEL", "value": "debug"}]


@pytest.mark.parametrize(
    ("pipeline", "containers", "ran_by"),
    [
        (PIPELINE, [container(), container("proxy", "envoy:v1")], [("web",)]),
        (PIPELINE, [container(image="<ANY>"), container("b", f"{URI}/web:v1")], [("web", "b")]),
        (PIPELINE, [container(image=f"{URI}/web@sha256:{'0' * 64}")], [("web",)]),
        (TWO, [container(), container("w", "<IMAGE2_NAME>")], [("web",), ("w",)]),
        (TWO, [container(), container("w", f"{URI}/worker:v1")], [("web",), ("w",)]),
        (
            replace(PIPELINE, images=(replace(WEB, containers=("web",)),)),
            [container(image="anything:v1"), container("b", f"{URI}/web:v1")],
            [("web",)],
        ),
    ],
)
def test_which_containers_run_which_image(
    pipeline: PipelineSettings, containers: list[Any], ran_by: list[tuple[str, ...]]
) -> None:
    assert [image.containers for image in written(text(*containers), pipeline).images] == ran_by


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdef", "bcdefg", strict=True)
)
FAULTS = [
    ("{", "is not JSON: Expecting property name"),
    ("[]", "must be an object, the input of RegisterTaskDefinition"),
    ("{}", "has no list 'containerDefinitions'"),
    ('{"cpu": "1", "cpu": "2"}', "'cpu' is given twice in one object"),
    ("[" * 100_000, "nested too deeply"),
    ('{"containerDefinitions": ["web"]}', "containerDefinitions[0]: must be an object"),
    (text(tags=["x"]), "tags: must be a list of objects"),
    (text(container(memory="256")), "containerDefinitions[0].memory: must be a whole number"),
    (text(container(enviroment=[])), "containerDefinitions[0].enviroment: is no member that ECS"),
    (
        text(container(environment=[{"name": "TOKEN", "value": {"x": SECRET}}])),
        "containerDefinitions[0].environment[0].value: must be a text, not an object",
    ),
    (text(container(), container()), "containerDefinitions[1].name: 'web' is the name of another"),
    (text({"image": "x"}), "containerDefinitions[0].name: is missing"),
    (text(family="other"), "family: 'other': the configuration allows 'web' alone"),
    (text(taskRoleArn="arn:aws:iam::1:role/admin"), "taskRoleArn: 'arn:aws:iam::1:role/admin': th"),
    (text(executionRoleArn="admin"), f"no such role (service.roles: {ROLE})"),
    (text(container(image="app:v1")), "no container has an image of 'web' or a placeholder"),
    (text(container(), {"name": "b"}), "containerDefinitions[1].image: is missing"),
]


@pytest.mark.parametrize(("source", "said"), FAULTS)
def test_what_is_wrong_is_told_by_its_path_and_shows_no_value(source: str, said: str) -> None:
    assert said in refused(source)


def test_all_faults_are_told_at_once() -> None:
    told = refused(text(container(memory="1", cpu="2"), family=1))
    assert [f.partition(": ")[0] for f in told.partition(": ")[2].split("; ")] == [
        "containerDefinitions[0].memory", "containerDefinitions[0].cpu", "family",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("a: [", "is not YAML: "),
        ("a: 1\na: 2\n", "'a' is given twice in the object of line 1"),
        ("1: 2\n", "a key must be a text: write it in quotes (line 1)"),
        (BOMB, "holds more than 20000 values"),
        ("family: 2026-01-01\ncontainerDefinitions: []\n", "family: must be a text, not a date"),
        ("family: !!python/name:os.system x", "is not YAML: could not determine a constructor"),
    ],
)
def test_what_is_wrong_with_yaml(source: str, said: str) -> None:
    assert said in refused(source, replace(PIPELINE, task_definition="task.yaml"))


@pytest.mark.parametrize(
    ("pipeline", "source", "said"),
    [
        (TWO, text(), "no container has an image of 'worker' or a placeholder for it, such as <IM"),
        (
            TWO,
            text(*(container(n, f"<IMAGE{i}_NAME>") for i, n in enumerate(("a", "b", "c"), 1))),
            "containerDefinitions[2].image: the placeholder <IMAGE3_NAME> stands for no image",
        ),
        (
            replace(PIPELINE, images=(replace(WEB, containers=("db",)),)), text(),
            "there is no container 'db', which runs the image 'web'; there are: web",
        ),
        (
            replace(PIPELINE, values={"web.memory": "lots"}), text(),
            "the configured service.values does not fit: web.memory='lots': must be a whole number",
        ),
        (replace(PIPELINE, values={"cpux": "1"}), text(), "'cpux' is not one of family, "),
        (replace(PIPELINE, values={"taskRoleArn": "x"}), text(), "taskRoleArn: 'x': the config"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_configuration(
    pipeline: PipelineSettings, source: str, said: str
) -> None:
    assert said in refused(source, pipeline)
