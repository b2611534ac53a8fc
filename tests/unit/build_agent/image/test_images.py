"""Images against a scripted docker and moto's ECR."""

from __future__ import annotations

import json
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from build_agent.host.process import Finished, TimedOut
from build_agent.image.images import build_command
from slipway.contracts.errors import DeploymentFailed, WorldFailed
from tests.aws.answers import instead, refused
from tests.unit.build_agent.fakes import URI, A
from tests.unit.build_agent.image.bench import COMMIT, INSPECTED, MANIFEST, STOP, Bench


def test_a_build_is_named_labelled_and_described(bench: Bench) -> None:
    built = bench.build(target="final")
    (command, env, _text) = bench.docker.calls[0]
    text = " ".join(command)
    for part in (
        f"--tag {URI}:build-1",
        "--build-arg environment=prod",
        f"--label org.opencontainers.image.revision={A}",
        "--label org.opencontainers.image.source=http://127.0.0.1:4566/v1/repos/app",
        "--label org.opencontainers.image.created=2027-01-15T08:00:00Z",
        "--platform linux/amd64",
        "--target final",
        "--progress plain",
    ):
        assert part in text
    assert command[-2:] == ["--", str(bench.tree.resolve())]
    assert env["DOCKER_BUILDKIT"] == "1"
    assert (built.image_id, built.architecture) == ("sha256:" + "2" * 64, "amd64")


def test_a_build_argument_may_name_the_commit(bench: Bench) -> None:
    bench.build(build_arguments={"commit": "at {commit}", "x": "$(id) {other}"})
    command = bench.docker.calls[0][0]
    assert f"commit=at {A}" in command
    assert "x=$(id) {other}" in command


def test_a_build_secret_is_in_the_environment_alone_and_never_in_the_output(bench: Bench) -> None:
    def build(arguments: list[str]) -> Finished:
        return Finished(1, ("#4 0.1 npm token t0ken-value", "#4 ERROR: exit code: 1"), "")

    bench.docker.answers["build"] = build
    with pytest.raises(DeploymentFailed) as error:
        bench.build(build_secrets={"npm": "/npm"})
    command, env, _text = bench.docker.calls[0]
    assert "id=npm,env=SLIPWAY_BUILD_SECRET_0" in command
    assert env["SLIPWAY_BUILD_SECRET_0"] == "t0ken-value"
    assert not any("t0ken" in part for part in command)
    said = [*bench.lines, *error.value.log_tail, str(error.value)]
    assert not any("t0ken" in line for line in said)


def test_a_fresh_build_uses_no_cache(bench: Bench) -> None:
    command = build_command(
        bench.pipeline, bench.image, COMMIT, tag="t", dockerfile=Path("/d"), context=Path("/c"),
        id_file=Path("/i"), secrets=[], created="now", fresh=True,
    )  # fmt: skip
    assert "--no-cache" in command


def test_a_build_that_never_ends_is_the_commits_fault(bench: Bench) -> None:
    def build(arguments: list[str]) -> Finished:
        raise TimedOut("docker did not end within 3600 s", ("#4 still at it",))

    bench.docker.answers["build"] = build
    with pytest.raises(DeploymentFailed, match="did not end within 3600 s") as error:
        bench.build()
    assert error.value.log_tail == ("#4 still at it",)


def test_a_push_adds_every_tag_the_build_tag_last(bench: Bench) -> None:
    order: list[str] = []
    put = bench.ecr.put_image

    def note(**members: Any) -> Any:
        order.append(members["imageTag"])
        return put(**members)

    instead(bench.ecr, "put_image", note)
    digest = bench.push()
    assert order == ["20270115080000", A, "latest", "build-1"]
    assert bench.tags() == set(order)
    assert digest == bench.images.find(bench.image, "build-1")
    assert bench.docker.verbs() == ["login", "image tag", "push", "image rm"]


def test_two_pushes_within_a_second_have_a_tag_each(bench: Bench) -> None:
    stamps: list[str] = []

    def put(number: int, tag: str) -> str:
        layers = [{"mediaType": "x", "size": 1, "digest": "sha256:" + str(number) * 64}]
        manifest = json.dumps({**json.loads(MANIFEST), "layers": layers})
        given = {"repositoryName": "app", "imageManifest": manifest, "imageTag": tag}
        return str(bench.ecr.put_image(**given)["image"]["imageId"]["imageDigest"])

    def push(arguments: list[str]) -> Finished:
        stamp = arguments[-1].rpartition(":")[2]
        stamps.append(stamp)
        put(len(stamps), f"kept-{stamp}")  # moto forgets an image without a tag
        digest = put(len(stamps), stamp)
        put(9 - len(stamps), stamp)
        return Finished(0, (f"{stamp}: digest: {digest} size: 527",), "")

    # GIVEN another host, which pushes under the same name before this one looks
    bench.docker.answers["push"] = push
    # WHEN two images are pushed within a second, THEN each is told and tagged as what it is
    digests = [bench.push(tag="build-1"), bench.push(tag="build-2")]
    assert stamps == ["20270115080000", "20270115080001"]
    for stamp, digest, tag in zip(stamps, digests, ("build-1", "build-2"), strict=True):
        assert bench.images.find(bench.image, f"kept-{stamp}") == digest
        assert bench.images.find(bench.image, tag) == digest


def test_what_a_pipeline_runs_is_named_by_one_tag_of_its_own(bench: Bench) -> None:
    # GIVEN two images in the repository of two pipelines
    first = bench.push()
    other = json.loads(MANIFEST)
    other["config"]["digest"] = "sha256:" + "9" * 64
    put = {"repositoryName": "app", "imageManifest": json.dumps(other), "imageTag": "v2"}
    second = bench.ecr.put_image(**put)["image"]["imageId"]["imageDigest"]
    # WHEN both run the first, and one of them the second after that
    for digest, pipeline in ((first, "web"), (first, "worker"), (second, "web"), (second, "web")):
        bench.images.keep(bench.image, digest, pipeline, sink=bench.lines.append)
    # THEN each has one, which says so
    runs = {
        tag: detail["imageDigest"]
        for detail in bench.ecr.describe_images(repositoryName="app")["imageDetails"]
        for tag in detail["imageTags"]
        if tag.startswith("running.")
    }
    assert runs == {"running.slipway.web": second, "running.slipway.worker": first}
    assert bench.lines == []


def test_that_what_runs_cannot_be_named_ends_no_deployment(bench: Bench) -> None:
    def refuse(**_members: Any) -> Any:
        raise refused("ecr", "PutImage", "AccessDeniedException")

    digest = bench.push()
    instead(bench.ecr, "put_image", refuse)
    bench.images.keep(bench.image, digest, "web", sink=bench.lines.append)
    assert "running.slipway.web could not be set" in bench.lines[-1]
    # AND an image that is gone from ECR has nothing to name
    bench.images.keep(bench.image, "sha256:" + "0" * 64, "web", sink=bench.lines.append)


class PowerLoss(BaseException):
    """Nothing happens after it."""


def test_an_image_without_its_build_tag_is_not_found(bench: Bench) -> None:
    # GIVEN a push that was cut off before its last tag
    put = bench.ecr.put_image

    def cut(**members: Any) -> Any:
        if members["imageTag"] == "build-1":
            raise PowerLoss
        return put(**members)

    instead(bench.ecr, "put_image", cut)
    with pytest.raises(PowerLoss):
        bench.push()
    assert bench.images.find(bench.image, "build-1") is None


def test_an_immutable_commit_tag_stays_and_the_push_goes_on(bench: Bench) -> None:
    put = bench.ecr.put_image

    def refuse(**members: Any) -> Any:
        if members["imageTag"] == A:
            response: Any = {"Error": {"Code": "ImageTagAlreadyExistsException", "Message": ""}}
            raise bench.ecr.exceptions.ImageTagAlreadyExistsException(response, "PutImage")
        return put(**members)

    instead(bench.ecr, "put_image", refuse)
    assert bench.push().startswith("sha256:")
    assert any("left as it is" in line for line in bench.lines)


def test_a_build_tag_that_names_another_image_is_no_success(bench: Bench) -> None:
    bench.images._registry.add_tag = lambda image, pushed, tag: tag != "build-1"  # type: ignore[method-assign]
    with pytest.raises(WorldFailed, match="build-1"):
        bench.push()


def test_the_login_is_asked_for_while_docker_builds_and_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN a build that lasts until ECR was asked for a login
    asked = threading.Semaphore(0)
    calls = []
    token = bench.ecr.get_authorization_token
    usual = bench.docker._usual

    def asking() -> Any:
        calls.append("token")
        asked.release()
        return token()

    def building(arguments: list[str]) -> Finished:
        assert asked.acquire(timeout=10.0)
        return usual(arguments)

    instead(bench.ecr, "get_authorization_token", asking)
    bench.docker.answers["build"] = building
    # WHEN it is built and pushed
    bench.push(bench.build())
    # THEN that login is the one that is used, once: the next build asks anew
    assert calls == ["token"]
    bench.build()
    assert calls == ["token", "token"]


def test_the_password_goes_to_standard_input_and_the_login_does_not_last(
    bench: Bench, tmp_path: Path
) -> None:
    modes: list[int] = []

    def login(arguments: list[str]) -> Finished:
        config = Path(bench.docker.calls[-1][1]["DOCKER_CONFIG"])
        modes.append(stat.S_IMODE(config.stat().st_mode))
        return Finished(0, (), "")

    bench.docker.answers["login"] = login
    bench.push()
    command, env, text = bench.docker.calls[0]
    assert command == ["login", "--username", "AWS", "--password-stdin", "--", "127.0.0.1:4566"]
    assert text
    assert not any(text in part for part in command)
    assert modes == [0o700]
    assert list((tmp_path / "docker").iterdir()) == []
    assert "AWS_SECRET_ACCESS_KEY" not in env


def test_a_build_is_logged_in_to_the_registries_of_its_private_base_images(
    bench: Bench, tmp_path: Path
) -> None:
    # GIVEN a Dockerfile that builds on three private images of two registries
    others = "333333333333.dkr.ecr.us-east-1.amazonaws.com"
    bases = (f"{others}/base", f"{others}/tools/node", "127.0.0.1:4566/base")

    # WHEN it is built
    bench.build(base_repositories=bases)

    # THEN docker is logged in to both before the build, in the build's own configuration
    assert bench.docker.verbs() == ["login", "login", "build", "image inspect"]
    hosts = [command[-1] for command, _env, _text in bench.docker.calls[:2]]
    assert hosts == [others, "127.0.0.1:4566"]
    configurations = {env["DOCKER_CONFIG"] for _command, env, _text in bench.docker.calls[:3]}
    assert len(configurations) == 1
    assert list((tmp_path / "docker").iterdir()) == []


# --- Docker Hub

HUB = "arn:aws:secretsmanager:us-east-1:222222222222:secret:hub-AbCdEf"


@pytest.fixture
def with_hub(aws: Any, tmp_path: Path) -> Bench:
    made = Bench(aws, tmp_path, docker_hub=HUB)
    made.secrets[HUB] = json.dumps({"username": "acme", "password": "pa55"})
    return made


def test_docker_hub_is_logged_in_to_with_the_secrets_name(with_hub: Bench) -> None:
    with_hub.build()
    command, env, text = with_hub.docker.calls[0]
    assert command == ["login", "--username", "acme", "--password-stdin", "--", "docker.io"]
    assert text == "pa55"
    assert not any("pa55" in part for part in (*command, *env.values()))
    assert with_hub.docker.verbs()[1] == "build"


def test_a_docker_hub_that_refuses_is_said_and_fails_no_build(with_hub: Bench) -> None:
    """Nothing of it may be needed; and what is public can be pulled without a name."""
    with_hub.docker.answers["login"] = lambda arguments: Finished(1, ("denied",), "")
    with_hub.build()
    (warning,) = with_hub.lines
    assert "cannot log in to docker.io: denied" in warning
    assert "pa55" not in warning


@pytest.mark.parametrize("secret", ["pa55", "[]", '{"username": "acme"}', "null"])
def test_a_secret_of_another_form_is_refused_and_not_shown(with_hub: Bench, secret: str) -> None:
    with_hub.secrets[HUB] = secret
    with pytest.raises(DeploymentFailed, match=r"dockerHub\.secret names must be JSON") as error:
        with_hub.build()
    assert "pa55" not in str(error.value)


def test_one_token_serves_base_images_and_push(bench: Bench) -> None:
    token, calls = bench.ecr.get_authorization_token, []
    instead(bench.ecr, "get_authorization_token", lambda: calls.append("token") or token())
    bench.push(bench.build(base_repositories=("127.0.0.1:4566/base",)))
    assert calls == ["token"]


def test_a_private_base_image_that_is_not_named_says_where_to_name_it(bench: Bench) -> None:
    base = "111111111111.dkr.ecr.us-east-1.amazonaws.com/base:1"
    refused = (
        "------",
        f" > [internal] load metadata for {base}:",
        "------",
        f"failed to solve: {base}: pulling from host 111111111111.dkr.ecr.us-east-1.amazonaws.com "
        "failed with status code [manifests 1]: 401 Unauthorized",
    )
    bench.docker.answers["build"] = lambda arguments: Finished(1, refused, "")
    with pytest.raises(DeploymentFailed, match="image's baseRepositories"):
        bench.build()


def test_a_registry_that_fails_is_the_worlds_fault(bench: Bench) -> None:
    for verb in ("login", "push"):
        bench.docker.answers = {verb: lambda arguments: Finished(1, ("denied: 503",), "")}
        with pytest.raises(WorldFailed, match="denied"):
            bench.push()


def inspected(**config: Any) -> dict[str, Any]:
    return {**INSPECTED, "Config": {**INSPECTED["Config"], **config}}  # type: ignore[dict-item]


def test_images_that_differ_by_our_own_labels_alone_are_the_same(bench: Bench) -> None:
    built = bench.build()
    ours = {f"org.opencontainers.image.{n}": "else" for n in ("revision", "source", "created")}
    for same in (inspected(Labels=ours), inspected(Labels=None, OnBuild=None, Env=[], Tty=False)):
        bench.docker.inspected = same
        assert bench.images.same_as_running(bench.image, built, "sha256:x", stop=STOP)


@pytest.mark.parametrize(
    "other",
    [
        {**INSPECTED, "RootFS": {"Layers": ["sha256:2"]}},
        {**INSPECTED, "Variant": "v8"},
        {**INSPECTED, "Author": "Ada"},
        inspected(Cmd=["/bin/y"]),
        inspected(Labels={"com.datadoghq.ad.logs": "[]"}),
        inspected(Labels={"org.opencontainers.image.version": "2"}),
        inspected(OnBuild=["RUN x"]),
        inspected(SomethingOfTomorrow={"x": 1}),
    ],
)
def test_images_that_differ_in_anything_else_are_not_the_same(
    bench: Bench, other: dict[str, Any]
) -> None:
    built = bench.build()
    bench.docker.inspected = other
    assert not bench.images.same_as_running(bench.image, built, "sha256:x", stop=STOP)


def test_an_image_that_this_host_does_not_hold_is_not_compared(bench: Bench) -> None:
    built = bench.build()
    bench.docker.answers["image"] = lambda arguments: Finished(1, ("No such image",), "")
    assert not bench.images.same_as_running(bench.image, built, "sha256:x", stop=STOP)
