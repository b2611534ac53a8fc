"""The stages of Dockerfiles, and which of them are worth keeping."""

from __future__ import annotations

import pytest

from build_agent.image.stages import lineage, stages_of, worth_keeping

USUAL = """\
# syntax=docker/dockerfile:1
ARG version=20
FROM node:${version} AS Deps
WORKDIR /app
COPY package.json ./
RUN npm ci
FROM deps AS build
COPY . .
RUN npm run build
FROM scratch AS unused
COPY x /
FROM nginx
COPY --from=build /app/out /srv
"""


def kept(dockerfile: str, target: str | None = None) -> list[str]:
    return [stage.name for stage in worth_keeping(stages_of(dockerfile), target)]


def test_what_one_stage_begins_with_is_part_of_it_and_what_nobody_needs_is_left_out() -> None:
    assert [s.name for s in stages_of(USUAL)] == ["deps", "build", "unused", "stage-3"]
    assert kept(USUAL) == ["build", "stage-3"]
    assert kept(USUAL, "Build") == ["build"]
    assert kept(USUAL, "deps") == ["deps"]
    assert kept(USUAL, "no-such") == []
    stages = stages_of(USUAL)
    assert [s.name for s in lineage(stages, stages[1])] == ["deps", "build"]


def test_a_stage_is_the_dockerfile_up_to_its_end() -> None:
    stages = stages_of(USUAL)
    assert stages[0].text.endswith("RUN npm ci\n")
    assert stages[0].text.startswith("# syntax")
    assert stages[3].text == USUAL


@pytest.mark.parametrize(
    "copy",
    [
        "COPY --from=0 /a /b",
        "copy --chown=1 --from=A /a /b",
        "RUN --mount=type=bind,from=a,target=/x true",
        "RUN --network=none \\\n  # why\n\n  --mount=from=a,target=/x true",
        "RUN <<E cat\nFROM scratch AS not\nE\nCOPY --from=a /a /b",
        "RUN <<-'E'\n\tFROM scratch AS not\n\tE\nCOPY --from=a /a /b",
    ],
)
def test_what_is_copied_from_is_needed(copy: str) -> None:
    text = f"FROM x AS a\nRUN true\nFROM y\n{copy}\n"
    assert kept(text) == ["a", "stage-1"]
    assert len(stages_of(text)) == 2


def test_the_escape_may_be_another_one() -> None:
    text = "# escape=`\nFROM x AS a\nRUN dir c:\\\nFROM y `\n  AS b\nRUN x\n"
    assert [s.name for s in stages_of(text)] == ["a", "b"]


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "RUN x\n", "FROM\n", "FROM x\n", "FROM x AS y"]
)
def test_of_what_has_no_layers_nothing_is_kept(text: str) -> None:
    assert kept(text) == []


def test_a_stage_that_only_names_an_image_is_not_kept() -> None:
    assert kept("FROM tools AS t\nFROM y\nCOPY --from=t /a /b\n") == ["stage-1"]
    assert kept("FROM base AS t\nRUN x\nFROM t\n") == ["stage-1"]
