"""Namespaces and mounts of the calling thread, by the C library: no tool need be installed."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from slipway.contracts.errors import WorldFailed

# linux/sched.h, linux/mount.h
CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000

_libc = ctypes.CDLL(None, use_errno=True)


def enter_new_ones() -> None:
    """The calling thread, and what it starts, sees other mounts and an empty network from now on.

    Both end by themselves with the last process in them, however that ends.
    """
    _must(_libc.unshare(CLONE_NEWNS | CLONE_NEWNET), "new namespaces")
    _must(_libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "private mounts")


def mount_overlay(lower: Path, *, upper: Path, work: Path, target: Path) -> None:
    """Mount `lower`, with what differs from it in `upper`, on `target`; WorldFailed says why not.

    `upper` and `work` are empty at first, and on one file system that is no overlay itself.
    """
    options = f"lowerdir={_escaped(lower)},upperdir={_escaped(upper)},workdir={_escaped(work)}"
    done = _libc.mount(b"overlay", os.fsencode(target), b"overlay", 0, os.fsencode(options))
    _must(done, f"an overlay on {target}")


def _escaped(path: Path) -> str:
    text = str(path)
    for character in ("\\", ":", ","):
        text = text.replace(character, f"\\{character}")
    return text


def _must(result: int, what: str) -> None:
    if result != 0:
        raise WorldFailed(f"this machine refuses {what}: {os.strerror(ctypes.get_errno())}")
