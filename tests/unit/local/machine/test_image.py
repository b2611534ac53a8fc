"""The image: what it is known by, and what is cleared away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from local.machine import image
from local.started import Ledger
from local.workplace import Workplace
from slipway.contracts.errors import WorldFailed


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of files in the place of the real ones."""
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "program").write_text("#!/bin/sh\n")
    monkeypatch.setattr(image, "FILES", folder)
    monkeypatch.setattr(image, "CUSTOMIZE", folder / "program")
    monkeypatch.setattr(image, "HERE", tmp_path)
    return folder


def test_it_is_known_by_all_that_it_is_made_from(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {image.fingerprint()}

    # WHEN a file gets another content, can be run, is joined by another; a package is added
    (files / "program").write_text("#!/bin/sh\nexit 1\n")
    known.add(image.fingerprint())
    (files / "program").chmod(0o755)
    known.add(image.fingerprint())
    (files / "another").touch()
    known.add(image.fingerprint())
    monkeypatch.setattr(image, "PACKAGES", (*image.PACKAGES, "another"))
    known.add(image.fingerprint())

    # THEN each time it is another image
    assert len(known) == 5
    assert image.fingerprint() in known


def making(script: str) -> Callable[[Path, tuple[str, ...]], list[str]]:
    """A command in the place of mmdebstrap's: the shell's, with the target as $0."""
    return lambda target, _: ["sh", "-c", script, str(target)]


def test_it_is_made_once_and_old_ones_go(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN an image of another time, one that is in use, and what an interrupted making left
    cache, workplace = tmp_path / "cache", Workplace(tmp_path / "run")
    ledger = Ledger.begin(workplace)
    for name in ("old", "used", "old.incoming"):
        (cache / name / "etc").mkdir(parents=True)
    made = tmp_path / "made"
    monkeypatch.setattr(image, "command", making(f'mkdir "$0" && echo >>"{made}"'))

    # WHEN it is asked for twice
    with image.in_use(cache / "used"):
        for _ in range(2):
            found = image.provide(workplace, ledger, cache)

    # THEN it is made once, and only what is in use is left beside it
    assert made.read_text() == "\n"
    assert {path for path in cache.iterdir() if path.is_dir()} == {found, cache / "used"}


def test_a_making_that_fails_says_why_and_leaves_no_image(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workplace = Workplace(tmp_path / "run")
    monkeypatch.setattr(
        image,
        "command",
        making('mkdir "$0"; echo E: no such package; exit 1'),
    )

    with pytest.raises(WorldFailed, match=r"cannot be made: E: no such package \(see .*log\)"):
        image.provide(workplace, Ledger.begin(workplace), tmp_path / "cache")
    assert not (tmp_path / "cache" / image.fingerprint()).exists()
