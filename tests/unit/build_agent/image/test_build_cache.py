"""When the build cache in ECR is read and written; over a docker that only remembers."""

from __future__ import annotations

import io
import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from build_agent.host.process import Finished
from build_agent.image import leaks
from build_agent.image.build_cache import (
    BuildCache,
    cache_tag,
    is_worth_writing,
    varies_from,
)
from build_agent.image.cache_records import Record, Records
from build_agent.image.images import Built
from build_agent.image.keeping import sought_for
from build_agent.image.steps import Step
from slipway.contracts.errors import DeploymentFailed
from tests.aws.answers import instead, refused
from tests.unit.build_agent.fakes import URI
from tests.unit.build_agent.image.bench import COMMIT, MANIFEST, STOP, Bench

DOCKERFILE = "FROM x AS deps\nRUN install\nCOPY . .\nRUN make\nFROM y\nCOPY --from=deps /a /b\n"
COLD = (
    "#3 [deps 2/4] RUN install", "#3 DONE 9s", "#4 [deps 3/4] COPY . .", "#4 DONE 0s",
    "#5 [stage-1 2/2] COPY --from=deps /a /b", "#5 DONE 0s",
)  # fmt: skip
WARM = tuple(line.replace("#3 DONE 9s", "#3 CACHED") for line in COLD)
ALL = tuple(line if "[" in line else line[:2] + " CACHED" for line in COLD)


class CacheBench:
    """A bench whose docker says what it is told to, and whose pushes reach ECR."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        self.bench, self.records = bench, Records(folder / "records.json")
        bench.images._cache = BuildCache(bench.ecr, self.records, "slipway")
        (bench.tree / "Dockerfile").write_text(DOCKERFILE)
        bench.docker.answers["build"] = self._build
        bench.docker.answers["push"] = self._push
        self.lines: tuple[str, ...] = COLD
        self.pushes = 0

    def deploy(self, lines: tuple[str, ...] = COLD, **changes: Any) -> list[str]:
        """One deployment that docker tells of by `lines`; the stages that were written."""
        self.lines = lines
        self.bench.docker.calls.clear()
        built = self.bench.build(**changes)
        self.bench.images.keep_layers(
            self.bench.pipeline, replace(self.bench.image, **changes), COMMIT, self.bench.tree,
            built, stop=STOP, sink=self.bench.lines.append,
        )  # fmt: skip
        pushed = [a[-1] for a, _e, _t in self.bench.docker.calls if a[0] == "push"]
        return [name.partition(":cache.")[2].partition(".")[0] for name in pushed]

    @property
    def imports(self) -> list[str]:
        command = next(a for a, _e, _t in self.bench.docker.calls if a[0] == "build")
        return [ref for flag, ref in itertools.pairwise(command) if flag == "--cache-from"]

    def _build(self, arguments: list[str]) -> Finished:
        Path(arguments[arguments.index("--iidfile") + 1]).write_text("sha256:" + "2" * 64)
        return Finished(0, self.lines if "--iidfile" in arguments else (), "")

    def _push(self, arguments: list[str]) -> Finished:
        self.pushes += 1
        tag = arguments[-1].rpartition(":")[2]
        layers = [{"mediaType": "x", "size": 1, "digest": f"sha256:{self.pushes:064x}"}]
        manifest = json.dumps({**json.loads(MANIFEST), "layers": layers})
        put = self.bench.ecr.put_image(repositoryName="app", imageManifest=manifest, imageTag=tag)
        digest = put["image"]["imageId"]["imageDigest"]
        return Finished(0, (f"{tag}: digest: {digest} size: 527",), "")


@pytest.fixture
def cache(bench: Bench, tmp_path: Path) -> CacheBench:
    return CacheBench(bench, tmp_path)


def test_a_first_build_reads_nothing_and_writes_each_stage(cache: CacheBench) -> None:
    assert cache.deploy() == ["deps", "stage-1"]
    assert cache.imports == []
    stage = [a for a, _e, _t in cache.bench.docker.calls if "BUILDKIT_INLINE_CACHE=1" in a]
    assert len(stage) == 2
    assert not any(a[0] == "build" and "--secret" in a for a in stage)


def test_a_host_that_has_the_layers_asks_docker_for_none(cache: CacheBench) -> None:
    cache.deploy()
    cache.deploy(WARM)
    assert cache.imports == []


def test_a_commit_that_changes_only_what_always_changes_writes_nothing(cache: CacheBench) -> None:
    cache.deploy()
    cache.deploy(WARM)
    assert cache.deploy(WARM) == []
    assert cache.deploy(ALL) == []
    assert cache.deploy(COLD) == ["deps"]
    assert cache.deploy(WARM) == []


def test_an_emptied_docker_is_given_what_ecr_has(cache: CacheBench) -> None:
    cache.deploy()
    # WHEN the disk was pruned
    cache.records.forget_images()
    cache.deploy(WARM)
    # THEN by digest: a tag may name a local image
    assert [ref.partition("@")[0] for ref in cache.imports] == [URI, URI]
    cache.deploy(WARM)
    assert cache.imports == []
    # AND where docker has lost the image of the last build, by whoever's hand
    cache.bench.docker.answers["image"] = lambda arguments: Finished(
        int("--format" in arguments), (), json.dumps([cache.bench.docker.inspected])
    )
    cache.deploy(WARM)
    assert len(cache.imports) == 2


def test_what_another_host_wrote_is_read(cache: CacheBench) -> None:
    cache.deploy()
    tags = {
        i.get("imageTag", "") for i in cache.bench.ecr.list_images(repositoryName="app")["imageIds"]
    }
    cache._push([f"{URI}:{next(tag for tag in tags if tag.startswith('cache.deps'))}"])
    cache.deploy(WARM)
    assert len(cache.imports) == 1


def test_a_fresh_build_reads_nothing_and_writes(cache: CacheBench) -> None:
    cache.deploy()
    cache.deploy(WARM)
    cache.records.forget_images()
    build = cache.bench.images.build
    cache.lines = COLD
    cache.bench.docker.calls.clear()
    built = build(
        cache.bench.pipeline, cache.bench.image, COMMIT, cache.bench.tree, tag="t", fresh=True,
        stop=STOP, sink=print,
    )  # fmt: skip
    assert cache.imports == []
    cache_of = cache.bench.images._cache
    assert cache_of is not None
    assert built.use is not None
    assert [kept.stage.name for kept in cache_of.to_write(built.use)] == ["deps"]


def test_where_it_is_switched_off_ecr_is_not_asked(cache: CacheBench) -> None:
    instead(cache.bench.ecr, "batch_get_image", lambda **_members: pytest.fail("asked"))
    assert cache.deploy(build_cache=False) == []


def test_an_ecr_that_refuses_costs_only_the_cache(cache: CacheBench) -> None:
    def refuse(**_members: Any) -> Any:
        raise refused("ecr", "BatchGetImage", "AccessDeniedException")

    instead(cache.bench.ecr, "batch_get_image", refuse)
    assert cache.deploy() == []
    assert any("is not used" in line for line in cache.bench.lines)


def test_a_build_that_fails_over_what_it_read_is_made_without(cache: CacheBench) -> None:
    cache.deploy()
    cache.records.forget_images()
    good = cache._build
    tried: list[bool] = []

    def build(arguments: list[str]) -> Finished:
        tried.append("--cache-from" in arguments)
        if tried[-1]:
            return Finished(1, ("#3 ERROR: broken", "failed to solve: failed to load cache"), "")
        return good(arguments)

    cache.bench.docker.answers["build"] = build
    cache.deploy(COLD)
    assert tried[:2] == [True, False]


def test_a_step_that_fails_by_itself_is_run_once(cache: CacheBench) -> None:
    cache.deploy()
    cache.records.forget_images()
    tried: list[str] = []

    def build(arguments: list[str]) -> Finished:
        tried.append(arguments[0])
        end = 'ERROR: failed to solve: process "make" did not complete successfully: exit code: 2'
        return Finished(1, ("#4 ERROR: x", "------", " > [deps 4/4] RUN make:", "------", end), "")

    cache.bench.docker.answers["build"] = build
    with pytest.raises(DeploymentFailed):
        cache.deploy()
    assert len(tried) == 1


def test_what_could_not_be_written_is_owed(cache: CacheBench) -> None:
    cache.deploy()
    cache.deploy(WARM)
    cache.bench.docker.answers["push"] = lambda _arguments: Finished(1, ("denied: no",), "")
    cache.deploy(COLD)
    assert any("is not kept" in line and "denied: no" in line for line in cache.bench.lines)
    cache.bench.docker.answers["push"] = cache._push
    assert cache.deploy(WARM) == ["deps"]
    assert cache.deploy(WARM) == []


def test_a_stage_that_holds_a_secret_is_not_pushed(cache: CacheBench) -> None:
    docker, asked = cache.bench.docker, []

    def looked(command: Any, **given: Any) -> Finished:
        if command[0] == "docker":
            return docker(command, **given)
        asked.append(list(command))
        assert given["env"][leaks.SOUGHT.format(0)] == "t0ken-value"
        return Finished(leaks.FOUND, (), "")

    cache.bench.images._docker = replace(cache.bench.images._docker, run=looked)
    assert cache.deploy(build_secrets={"npm": "/npm"}) == []
    assert len(asked) == 2
    assert "t0ken" not in " ".join(asked[0])
    assert any("hold a build secret" in line for line in cache.bench.lines)


def test_a_host_without_memory_of_it_goes_on(cache: CacheBench, tmp_path: Path) -> None:
    (tmp_path / "records.json").write_text("{broken")
    assert cache.deploy() == ["deps", "stage-1"]
    again = Records(tmp_path / "records.json")
    assert all(again.get(name).digest for name in json.loads(again.path.read_text()))
    again.path.unlink()
    again.path.mkdir()
    again.note("x", owed=True)
    assert again.get("x").owed


@pytest.mark.parametrize(
    ("record", "is_there", "first", "worth"),
    [
        (Record(), False, None, True),
        (Record(), True, None, False),
        (Record(), True, (0, 3), True),
        (Record(text="t"), True, (0, 3), True),
        (Record(text="t", varies=(0, 3)), True, (0, 3), False),
        (Record(text="t", varies=(0, 3)), True, (0, 2), True),
        (Record(text="t", varies=(0, 3)), True, (1, 1), True),
        (Record(text="other", varies=(0, 3)), True, (0, 3), True),
        (Record(text="t", varies=(0, 3), owed=True), True, (0, 3), True),
        (Record(text="t", varies=(0, 3), owed=True), True, None, True),
    ],
)
def test_what_is_worth_writing(
    record: Record, is_there: bool, first: Step | None, worth: bool
) -> None:
    assert is_worth_writing(record, is_there=is_there, first=first, text="t") is worth


@pytest.mark.parametrize(
    ("record", "is_there", "first", "varies"),
    [
        (Record(), False, (0, 2), None),
        (Record(), True, (0, 3), (0, 3)),
        (Record(text="t"), True, (0, 3), (0, 3)),
        (Record(text="t", varies=(0, 3)), True, (0, 2), (0, 3)),
        (Record(text="t", varies=(0, 3)), True, (1, 1), (1, 1)),
        (Record(text="other", varies=(0, 3)), True, (0, 2), None),
        (Record(text="t", varies=(0, 3)), True, None, (0, 3)),
    ],
)
def test_from_where_on_a_stage_varies(
    record: Record, is_there: bool, first: Step | None, varies: Step | None
) -> None:
    assert varies_from(record, is_there=is_there, first=first, text="t") == varies


def test_a_tag_is_of_one_branch_file_and_stage(bench: Bench) -> None:
    def tag(stage: str = "deps", *, branch: str = "main", **image: Any) -> str:
        pipeline = replace(bench.pipeline, branch=branch)
        return cache_tag("slipway", pipeline, replace(bench.image, **image), stage)

    tags = [tag(), tag("b/ü" * 60), tag(branch="x"), tag(dockerfile="x"), tag(context="x"),
            tag(platform="linux/arm64")]  # fmt: skip
    assert len(set(tags)) == len(tags)
    assert all(len(t) <= 128 and t.startswith("cache.") for t in tags)
    assert tag(build_arguments={"a": "b"}) == tag()


def test_a_secret_is_found_over_the_border_of_two_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "CHUNK", 8)
    text = b"0123456789abcdef0123456789"
    for begin in range(len(text) - 5):
        assert leaks.holds(io.BytesIO(text), [b"no such", text[begin : begin + 5]])
    assert not leaks.holds(io.BytesIO(text), [b"fedcba"])
    assert not leaks.holds(io.BytesIO(b""), [b"x"])


def test_a_secret_is_sought_by_lines_and_as_base64() -> None:
    assert sought_for(["short", ""]) == []
    found = sought_for(["first line\nsecond line\n"])
    assert {"first line", "second line", "Zmlyc3QgbGluZQ"} <= set(found)


def test_the_look_for_secrets_ends_with_dockers_own_failure(tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\necho a-t0ken-value; exit 7\n")
    docker.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(leaks.SOUGHT.format(0), "t0ken-value")
        assert leaks.main(str(docker), "x") == leaks.FOUND
        patch.setenv(leaks.SOUGHT.format(0), "another")
        assert leaks.main(str(docker), "x") == 7


def test_a_built_image_is_compared_without_its_cache() -> None:
    assert Built("a", "amd64", {}) == Built("a", "amd64", {}, use=None)
