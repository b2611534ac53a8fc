"""What the package's metadata asks for, and what `make` installs, are about the same versions."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.places import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def lines(file: str) -> Iterator[Requirement]:
    """The requirements of a file, and of those that it names."""
    for line in (ROOT / file).read_text().splitlines():
        if line.startswith("-r "):
            yield from lines(line.removeprefix("-r "))
        elif line and not line.startswith("#"):
            yield Requirement(line)


PINS = {canonicalize_name(one.name): one for one in lines("requirements-dev.txt")}
RANGES = [
    Requirement(text)
    for group in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for text in group
]


@pytest.mark.parametrize("name", PINS)
def test_what_make_installs_is_pinned(name: str) -> None:
    (specifier,) = PINS[name].specifier
    assert specifier.operator == "=="
    assert "*" not in specifier.version


@pytest.mark.parametrize("asked", RANGES, ids=str)
def test_what_make_installs_is_what_the_package_asks_for(asked: Requirement) -> None:
    # GIVEN a range of the metadata, WHEN it is held against the pin
    (pin,) = PINS[canonicalize_name(asked.name)].specifier
    # THEN the pin is in it, and a release that may break with it is not
    assert pin.version in asked.specifier, f"{asked} does not take {pin.version}"
    assert {one.operator for one in asked.specifier} == {">=", "<"}
