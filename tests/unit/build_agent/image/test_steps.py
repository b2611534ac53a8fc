"""Which steps ran, by what two ages of docker print."""

from __future__ import annotations

from build_agent.image.steps import Steps

LINES = """\
#1 [internal] load build definition from Dockerfile
#1 DONE 0.0s
#4 [deps 1/3] FROM docker.io/library/node:20@sha256:1
#4 DONE 3.0s
#5 [deps 2/3] COPY package.json ./
#5 sha256:4a876c8a78bcce67c8eaa0d6f8e40a28dd3408bcffcd590dea2daf4aec19b6af
#5 CACHED
#6 [deps 3/3] RUN npm ci
#6 0.100 #5 CACHED
#6 CACHED
#7 [build 1/2] COPY . .
#7 DONE 0.1s
#8 [linux/arm64 build 2/2] RUN npm run build
#8 0.200 #9 [deps 2/3] RUN words
#8 DONE 1.0s
"""


def heard(text: str) -> Steps:
    steps = Steps()
    for line in text.splitlines():
        steps.hear(line)
    return steps


def test_the_first_step_that_ran_is_told_by_stage_and_number() -> None:
    steps = heard(LINES)
    assert steps.first_that_ran(["deps", "build"]) == (1, 1)
    assert steps.first_that_ran(["deps"]) is None
    assert steps.has_seen(["deps"])
    assert not steps.has_seen(["stage-2"])
    assert heard(LINES.replace("#5 CACHED", "#5 DONE 0.1s", 1)).first_that_ran(["deps"]) == (0, 2)


def test_the_only_stage_has_no_name() -> None:
    steps = heard("#5 [2/3] COPY a /\n#5 CACHED\n#6 [3/3] RUN make\n#6 DONE 1s\n")
    assert steps.first_that_ran([""]) == (0, 3)
    assert steps.first_that_ran(["other"]) == (0, 3)
    assert steps.first_that_ran(["a", "b"]) is None
