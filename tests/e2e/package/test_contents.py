"""What is in the package, what it brings along, and how much that is."""

from __future__ import annotations

import tarfile
import zipfile
from email import message_from_string
from pathlib import PurePosixPath

from tests.e2e.package.installed import Built, Installed
from tests.places import ROOT

MOST_BYTES = 80_000_000
MOST_PACKAGES = 15


def test_it_is_small(installed: Installed) -> None:
    others = {d.name for d in installed.distributions()} - {"slipway"}
    assert len(others) <= MOST_PACKAGES, sorted(others)
    assert installed.size() < MOST_BYTES, f"{installed.size() / 1e6:.1f} MB"


def test_the_wheel_is_the_package_and_all_of_it(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as wheel:
        names = {PurePosixPath(name) for name in wheel.namelist()}
    packed = {str(name) for name in names if not name.parts[0].endswith(".dist-info")}
    assert packed == package_files()


def test_the_source_holds_the_package_and_nothing_of_the_other_folders(built: Built) -> None:
    with tarfile.open(built.source) as source:
        files = [PurePosixPath(one.name) for one in source.getmembers() if one.isfile()]
    packed = {str(PurePosixPath(*file.parts[1:])) for file in files}
    top = {PurePosixPath(name).parts[0] for name in packed}
    assert package_files() <= packed
    assert not top & {"tests", "local", "bench", "infra", "lambdas", "build_agent"}, sorted(top)


def test_the_wheel_says_what_it_is(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = message_from_string(wheel.read(name).decode())
    assert metadata["Name"] == "slipway"
    assert f'\nversion = "{metadata["Version"]}"\n' in (ROOT / "pyproject.toml").read_text()
    assert set(metadata.get_all("Provides-Extra", [])) >= {"cdk", "report"}
    assert "# Slipway" in str(metadata.get_payload())


def package_files() -> set[str]:
    """Every file of the package in the tree, whatever its kind."""
    return {
        str(file.relative_to(ROOT))
        for file in (ROOT / "slipway").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
