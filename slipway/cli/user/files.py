"""Files that people name: written whole, or one sentence says why not."""

from __future__ import annotations

import os
from pathlib import Path

from slipway.contracts.errors import WorldFailed, WrongUse


def write_file(path: Path, content: bytes | str, *, option: str) -> None:
    """Write `content` (text as UTF-8) to the file that `option` names.

    WrongUse where the caller can name a better place (no such folder, no right to write there),
    WorldFailed where none is better (a full or broken disk).
    """
    data = content.encode() if isinstance(content, str) else content
    try:
        path.write_bytes(data)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError) as error:
        raise WrongUse(f"{option} {str(path)!r}: cannot be written: {error.strerror}") from None
    except OSError as error:
        raise WorldFailed(f"{option} {str(path)!r}: not written: {error.strerror}") from None


def write_whole(path: Path, text: str, *, option: str) -> None:
    """As `write_file`, and so that there is never a part of it: the old file, or the new one."""
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        write_file(new, text, option=option)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
