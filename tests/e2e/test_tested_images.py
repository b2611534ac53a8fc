"""Tests before the push, in containers of a real docker daemon: their bounds, ends and reports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from build_agent.host import process
from build_agent.host.clock import SystemClock
from build_agent.host.stop import Interrupted, Stop
from build_agent.image.docker import Docker
from build_agent.image.images import Images
from build_agent.image.tested import Tested
from build_agent.image.testing import Tests
from local import docker as local_docker
from local.waiting import wait_for
from slipway.contracts.errors import DeploymentFailed
from slipway.contracts.installation import ImageSettings, TestSettings
from slipway.contracts.messages import Commit
from slipway.contracts.names import Names
from tests.e2e.test_hostile_builds import PLATFORM, daemon
from tests.places import ROOT
from tests.unit.build_agent.fakes import A
from tests.unit.build_agent.world import make_pipeline

__all__ = ["daemon"]

DOCKERFILE = """\
FROM scratch AS base
COPY busybox /bin/busybox
COPY busybox /bin/sh
FROM base AS tests
WORKDIR /work
COPY . .
ENTRYPOINT ["/bin/busybox"]
CMD ["sh", "test.sh"]
FROM base
"""
REPORT = """\
<?xml version="1.0"?>
<testsuites><testsuite name="unit" tests="3">
<testcase classname="shop.Basket" name="adds"/>
<testcase classname="shop.Basket" name="pays"><failure message="12 is not 13">…</failure></testcase>
<testcase classname="shop.Basket" name="waits"><skipped/></testcase>
</testsuite></testsuites>
"""
_NESTED = zip("abcdefgh", "bcdefghi", strict=True)
ENTITIES = "".join(f'<!ENTITY {b} "{10 * f"&{a};"}">' for a, b in _NESTED)
BOMB = (
    f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">{ENTITIES}]>'
    '<testsuites><testsuite><testcase name="&i;"/></testsuite></testsuites>'
)


@dataclass
class Yard:
    daemon: local_docker.Docker
    images: Images
    docker: Docker
    folder: Path
    tree: Path
    lines: list[str] = field(default_factory=list)
    stop: Stop = field(default_factory=Stop)

    def test(self, script: str, **settings: Any) -> Tested:
        """Build the stage `tests`, and run it with `script` in it."""
        (self.tree / "test.sh").write_text(script)
        test = TestSettings(**{"target": "tests", **settings})
        image = ImageSettings(
            repository="slipway-tested", repository_uri="127.0.0.1:0/slipway-tested",
            platform=PLATFORM, test=test,
        )  # fmt: skip
        built = self.images.build(
            make_pipeline(), replace(image, target=test.target), Commit(id=A), self.tree,
            tag="test", fresh=False, stop=Stop(), sink=lambda _line: None,
        )  # fmt: skip
        tests = Tests(self.docker, self.folder / "tests")
        return tests.run(image, built, stop=self.stop, sink=self.lines.append)

    def containers(self) -> list[str]:
        """Ours that are there, running or not."""
        form = ["--all", "--filter", "name=slipway-test-", "--format", "{{.Names}}"]
        return self.daemon.run("ps", *form).split()


@pytest.fixture
def yard(
    daemon: local_docker.Docker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Yard]:
    monkeypatch.setenv("DOCKER_HOST", daemon.host)
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "busybox").write_bytes(local_docker.provide_busybox().read_bytes())
    (tree / "busybox").chmod(0o755)
    (tree / "Dockerfile").write_text(DOCKERFILE)
    docker = Docker(lambda: daemon.client, process.run, tmp_path / "docker")
    images = Images(
        docker=docker, ecr=None, secret=str, clock=SystemClock(), folder=tmp_path,
        names=Names("slipway"),
    )  # fmt: skip
    yard = Yard(daemon, images, docker, tmp_path, tree)
    yield yard
    # however it ended, no container is left, and none is noted
    assert yard.containers() == []
    assert list((tmp_path / "tests").glob("*")) == []
    daemon.run("rmi", "--force", "127.0.0.1:0/slipway-tested:test")


def test_the_exit_code_decides(yard: Yard) -> None:
    assert yard.test("echo all is well") == Tested(tail=("all is well",))
    assert yard.lines == ["all is well"]
    failed = yard.test("echo boom; exit 3")
    assert failed.failure == "the tests ended with exit code 3"
    assert failed.tail == ("boom",)


def test_the_command_takes_the_place_of_the_stage_s_own(yard: Yard) -> None:
    assert yard.test("exit 1", command=("echo", "mine")).failure is None
    assert yard.lines == ["mine"]
    failure = yard.test("", command=("no-such-applet",)).failure
    assert failure == "the tests ended with exit code 127"


def test_what_cannot_be_started_is_the_commit_s_failure(yard: Yard) -> None:
    (yard.tree / "Dockerfile").write_text(DOCKERFILE.replace('["/bin/busybox"]', '["/no/program"]'))
    failure = yard.test("").failure or ""
    assert failure.startswith("the tests could not be started: ")
    assert "/no/program" in failure
    # AND a stage without any command
    (yard.tree / "Dockerfile").write_text("FROM scratch AS tests\nCOPY busybox /bin/busybox\n")
    with pytest.raises(DeploymentFailed, match="stage tests has no command") as refused:
        yard.test("")
    assert refused.value.stage == "test"


def test_what_does_not_end_is_ended_and_its_reports_are_read_all_the_same(yard: Yard) -> None:
    (yard.tree / "report.xml").write_text(REPORT)
    began = time.monotonic()
    tested = yard.test("echo begun; busybox sleep 60", timeout=3, reports=("report.xml",))
    assert tested.failure == (
        "the tests did not end within 3 s: 1 of 3 failed: shop.Basket.pays"
    )  # fmt: skip
    assert tested.tail == ("begun",)
    assert time.monotonic() - began < 40


def test_it_has_no_network_no_credentials_and_no_socket(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-host-s-own")
    script = "busybox env; busybox ls /sys/class/net; busybox ls /var/run /run; busybox mount"
    yard.test(script)
    told = "\n".join(yard.lines)
    assert "the-host-s-own" not in told
    assert "docker.sock" not in told
    assert "eth0" not in told
    assert "lo" in told.splitlines()
    # AND only where the configuration gives it one
    yard.lines.clear()
    yard.test(script, network=True)
    assert "eth0" in "\n".join(yard.lines)


def test_it_is_killed_where_it_needs_more_memory_than_it_has(yard: Yard) -> None:
    (yard.tree / "Dockerfile").write_text(DOCKERFILE)
    failure = yard.test("exec busybox tail /dev/zero", memory=64, timeout=60).failure
    assert failure in (
        "the tests needed more than 64 MiB of memory and were killed",
        "the tests ended with exit code 137 (killed, as where memory runs out)",
    )


def test_a_stop_ends_it_at_once(yard: Yard) -> None:
    timer = threading.Timer(3.0, lambda: yard.stop.request("cancelled"))
    timer.start()
    began = time.monotonic()
    with pytest.raises(Interrupted, match="cancelled"):
        yard.test("echo begun; busybox sleep 60")
    timer.join()
    assert time.monotonic() - began < 40
    assert yard.containers() == []


KILLED = """\
import os, sys
from pathlib import Path
from build_agent.host import process
from build_agent.host.stop import Stop
from build_agent.image.docker import Docker
from build_agent.image.images import Built
from build_agent.image.testing import Tests
from slipway.contracts.installation import ImageSettings, TestSettings
client, folder, image_id, platform = sys.argv[1:]
folder = Path(folder)
tests = Tests(Docker(lambda: client, process.run, folder / "docker"), folder / "tests")
image = ImageSettings(repository="x", repository_uri="x/x", platform=platform,
                      test=TestSettings(target="tests"))
tests.run(image, Built(image_id, "", {}), stop=Stop(), sink=lambda line: print(line, flush=True))
"""


def test_what_a_killed_agent_left_is_removed_by_the_next_one(yard: Yard) -> None:
    # GIVEN an agent that is killed while its tests run
    yard.test("echo begun; test -e /slow && busybox sleep 60; exit 0")
    (yard.tree / "test.sh").write_text("echo begun; busybox sleep 60")
    image_id = yard.images.build(
        make_pipeline(), ImageSettings(repository="slipway-tested", platform=PLATFORM,
                                       repository_uri="127.0.0.1:0/slipway-tested", target="tests"),
        Commit(id=A), yard.tree, tag="test", fresh=False, stop=Stop(), sink=lambda _line: None,
    ).image_id  # fmt: skip
    given = [yard.daemon.client, str(yard.folder), image_id, PLATFORM]
    agent = subprocess.Popen(
        [sys.executable, "-c", KILLED, *given], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert agent.stdout is not None
    assert agent.stdout.readline() == "begun\n"
    os.kill(agent.pid, signal.SIGKILL)
    agent.wait()
    agent.stdout.close()
    assert len(yard.containers()) == 1
    # WHEN the next one begins, THEN it knows it, and removes it
    tests = Tests(yard.docker, yard.folder / "tests")
    assert list(tests.left_behind) == yard.containers()
    tests.remove_left_behind()
    wait_for("no container", lambda: not yard.containers(), seconds=10)


# --- reports


def test_reports_are_counted_whatever_the_exit_code_is(yard: Yard) -> None:
    (yard.tree / "report.xml").write_text(REPORT)
    script = "busybox mkdir -p out/a/b; busybox cp report.xml out/a/b/TEST-x.xml; exit {}"
    failed = yard.test(script.format(1), reports=("out/**/*.xml",))
    told = "1 of 3 failed: shop.Basket.pays"
    assert failed.failure == f"the tests ended with exit code 1: {told}"
    assert "failed: shop.Basket.pays: 12 is not 13" in yard.lines
    # AND it is the exit code that decides
    passed = yard.test(script.format(0), reports=("/work/out/**/*.xml",))
    assert passed.failure is None
    assert passed.warnings == (f"the tests ended with exit code 0, and their reports say {told}",)


def test_reports_that_are_none_are_told_and_decide_nothing(yard: Yard) -> None:
    files = {
        "a.xml": "no XML at all",
        "b.xml": "<html/>",
        "bomb.xml": BOMB,
        "good.xml": REPORT.replace("failure", "system-out"),
        "outside.xml": "",
    }
    for name, text in files.items():
        (yard.tree / name).write_text(text)
    (yard.tree / "passwd.xml").symlink_to("good.xml")
    began = time.monotonic()
    tested = yard.test("exit 0", reports=("*.xml",))
    assert tested.failure is None
    assert tested.summary == "2 passed, 1 skipped"
    assert sorted(tested.warnings) == [
        f"reports of the tests: /work/{name} is no JUnit XML"
        for name in ("a.xml", "b.xml", "bomb.xml", "outside.xml")
    ]
    assert time.monotonic() - began < 30
    missing = yard.test("exit 0", reports=("nowhere/*.xml",))
    assert missing.warnings == ("reports of the tests: there is no report: /work/nowhere/*.xml",)


def test_reports_are_bounded(yard: Yard) -> None:
    (yard.tree / "report.xml").write_text(REPORT)
    script = (
        "busybox dd if=/dev/zero of=big.xml bs=1M count=9 2>/dev/null; busybox mkdir many;"
        "i=0; while test $i -lt 510; do i=$((i+1)); busybox cp report.xml many/$i.xml; done"
    )
    tested = yard.test(script, reports=("big.xml", "many/*.xml"))
    assert tested.failure is None
    assert tested.warnings[1:] == (
        "reports of the tests: /work/big.xml has more than 8 MiB and is not read",
        "reports of the tests: /work/many holds more than 500 reports, or more than 64 MiB of them:"
        " the others are not read",
    )  # fmt: skip
    assert (tested.summary or "").startswith("499 of 1497 failed")
