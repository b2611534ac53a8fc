"""The templates of installations with hosts, resource by resource, as digests.

What is added for another engine may not touch them. `python -m tests.infra.kept_templates` writes
the snapshot `kept_templates.json` anew, where a change of theirs is meant. Hashes of what is
shipped are left out: those change with each line of code.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.infra.templates import EXAMPLE, FULL, LOCAL, Stacks, synthesize_file

SNAPSHOT = Path(__file__).parent / "kept_templates.json"
SHIPPED = re.compile(r"[0-9a-f]{64}")


def digests(installations: Mapping[str, Stacks]) -> dict[str, dict[str, str]]:
    """Of each part of each template: by installation and side, then by the part's name."""
    return {
        f"{name}-{side}": _parts(getattr(stacks, side))
        for name, stacks in installations.items()
        for side in ("dev", "prod")
    }


def _parts(template: Mapping[str, Any]) -> dict[str, str]:
    return {
        f"{section}/{name}": _digest(part)
        for section, parts in sorted(template.items())
        for name, part in (sorted(parts.items()) if isinstance(parts, dict) else [("", parts)])
    }


def _digest(part: Any) -> str:
    text = SHIPPED.sub("<hash>", json.dumps(part, sort_keys=True))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def main() -> None:
    """Write the snapshot anew."""
    with tempfile.TemporaryDirectory() as folder:
        made = {
            path.stem if path != EXAMPLE else "example": synthesize_file(
                path, Path(folder, path.stem)
            )
            for path in (EXAMPLE, FULL, LOCAL)
        }
    SNAPSHOT.write_text(json.dumps(digests(made), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
