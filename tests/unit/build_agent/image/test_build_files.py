"""Which Dockerfile and which ignore file a build reads, and that it reads nothing from outside."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from build_agent.image.build_files import locate
from slipway.contracts.errors import DeploymentFailed, WorldFailed
from tests.unit.build_agent.world import make_pipeline

IMAGE = make_pipeline().images[0]


class Tree:
    """A repository's files, next to a secret of the host's."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "tree"
        self.path.mkdir()
        (folder / "secret").write_text("FROM secret\n")
        self.scratch = folder / "scratch"

    def file(self, name: str, text: str = "FROM scratch\n") -> None:
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_text(text)

    def link(self, name: str, to: str) -> None:
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).symlink_to(to)

    def laid_out(self, **settings: str) -> dict[str, str]:
        """What docker is given beside the context, by name."""
        given = locate(self.path, replace(IMAGE, **settings)).lay_out(self.scratch)
        assert given.is_file()
        return {file.name: file.read_text() for file in self.scratch.iterdir()}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_a_missing_dockerfile_is_named(tree: Tree) -> None:
    with pytest.raises(DeploymentFailed, match="has no Dockerfile 'Dockerfile'") as error:
        tree.laid_out()
    assert error.value.stage == "build"


def test_a_dockerfile_is_found_in_its_context(tree: Tree) -> None:
    tree.file("app/prod.Dockerfile")
    files = locate(tree.path, replace(IMAGE, context="app", dockerfile="prod.Dockerfile"))
    assert (files.context.name, files.name) == ("app", "prod.Dockerfile")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"context": "out"},
        {"context": ".."},
        {"context": "/"},
        {"dockerfile": "../secret"},
        {"dockerfile": "/etc/passwd"},
        {"dockerfile": "circle"},
        {"dockerfile": "long"},
        {"context": "circle"},
        {"context": "long"},
    ],
)
def test_nothing_outside_the_repository_is_built(tree: Tree, changes: dict[str, Any]) -> None:
    # GIVEN links that lead out, or nowhere
    tree.link("Dockerfile", "../secret")
    tree.link("out", "..")
    tree.link("circle", "circle")
    tree.link("long", "n" * 300)
    with pytest.raises(DeploymentFailed):
        tree.laid_out(**changes)


def test_a_link_to_a_dockerfile_keeps_its_own_name_and_ignore_file(tree: Tree) -> None:
    # GIVEN a link that leads out of its folder, and not out of the repository
    tree.file("base.Dockerfile", "FROM base\n")
    tree.file("base.Dockerfile.dockerignore", "of the target")
    tree.link("docker/prod.Dockerfile", "../base.Dockerfile")
    tree.file("docker/prod.Dockerfile.dockerignore", "secret.env")
    # THEN the ignore file is the one of the name that was given
    assert tree.laid_out(dockerfile="docker/prod.Dockerfile") == {
        "prod.Dockerfile": "FROM base\n",
        "prod.Dockerfile.dockerignore": "secret.env",
    }


def test_an_ignore_file_may_be_a_link_inside_the_repository(tree: Tree) -> None:
    tree.file("app/Dockerfile")
    tree.file("common.dockerignore", "secret.env")
    tree.link("app/Dockerfile.dockerignore", "../common.dockerignore")
    assert tree.laid_out(context="app")["Dockerfile.dockerignore"] == "secret.env"


def test_the_contexts_ignore_file_may_be_a_link_that_docker_would_not_follow(tree: Tree) -> None:
    tree.file("app/Dockerfile")
    tree.file("common.dockerignore", "secret.env")
    tree.link("app/.dockerignore", "../common.dockerignore")
    assert tree.laid_out(context="app")["Dockerfile.dockerignore"] == "secret.env"


def test_the_contexts_own_ignore_file_is_left_to_docker(tree: Tree) -> None:
    tree.file("Dockerfile")
    tree.file(".dockerignore", "secret.env")
    (tree.path / "Dockerfile.dockerignore").mkdir()
    assert list(tree.laid_out()) == ["Dockerfile"]


@pytest.mark.parametrize("name", ["Dockerfile.dockerignore", ".dockerignore"])
@pytest.mark.parametrize("to", ["../secret", "/etc/passwd", "nothing", ".dockerignore"])
def test_an_ignore_file_that_leads_to_none_of_the_repository_is_refused(
    tree: Tree, name: str, to: str
) -> None:
    # GIVEN a link without which docker would put everything into the image
    tree.file("Dockerfile")
    tree.link(name, to)
    with pytest.raises(DeploymentFailed, match="is a link that leads to no file of the repository"):
        tree.laid_out()


def test_a_disk_without_room_for_them_is_the_worlds_fault(tree: Tree) -> None:
    tree.file("Dockerfile")
    tree.scratch.touch()
    with pytest.raises(WorldFailed, match="cannot lay out the Dockerfile"):
        locate(tree.path, IMAGE).lay_out(tree.scratch)


# --- a Dockerfile outside of its context


OUTSIDE = {"context": "services/web", "dockerfile": "../../docker/web.Dockerfile"}


def test_a_dockerfile_may_stand_outside_of_its_context(tree: Tree) -> None:
    tree.file("services/web/main.txt")
    tree.file("services/web/.dockerignore", "of the context")
    tree.file("docker/web.Dockerfile", "FROM web\n")
    files = locate(tree.path, replace(IMAGE, **OUTSIDE))
    assert (files.context.name, files.name) == ("web", "web.Dockerfile")
    assert files.ignore_text == "of the context"
    assert tree.laid_out(**OUTSIDE) == {"web.Dockerfile": "FROM web\n"}


def test_the_ignore_file_beside_it_comes_first(tree: Tree) -> None:
    tree.file("services/web/.dockerignore", "of the context")
    tree.file("docker/web.Dockerfile")
    tree.file("docker/web.Dockerfile.dockerignore", "beside it")
    assert locate(tree.path, replace(IMAGE, **OUTSIDE)).ignore_text == "beside it"
    assert tree.laid_out(**OUTSIDE)["web.Dockerfile.dockerignore"] == "beside it"


@pytest.mark.parametrize(
    "dockerfile", ["../../../secret", "../../docker/../../secret", "../../out/secret", "../x"]
)
def test_it_never_leads_out_of_the_repository(tree: Tree, dockerfile: str) -> None:
    tree.file("services/web/main.txt")
    tree.link("out", "..")
    tree.link("services/x", "/etc/passwd")
    with pytest.raises(DeploymentFailed, match="leads out of the repository"):
        tree.laid_out(context="services/web", dockerfile=dockerfile)


def test_an_ignore_file_s_link_out_is_refused(tree: Tree) -> None:
    tree.file("services/web/main.txt")
    tree.file("docker/web.Dockerfile")
    tree.link("docker/web.Dockerfile.dockerignore", "../../secret")
    with pytest.raises(DeploymentFailed, match="leads to no file of the repository"):
        tree.laid_out(**OUTSIDE)
