"""What a file of settings says, and on which lines: JSON, or YAML where PyYAML is installed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.configuration.json_lines import json_lines
from slipway.configuration.paths import Fault, around, below
from slipway.contracts.errors import InvalidConfiguration, WrongUse
from slipway.contracts.installation import YAML_ENDINGS


@dataclass(frozen=True)
class Source:
    """A file's value, the line of each path, and the keys that were given twice."""

    path: Path
    value: Any
    lines: Mapping[str, int]
    twice: Sequence[Fault] = ()

    def line_of(self, path: str) -> int | None:
        """Where `path` is; of what is missing, where that is which lacks it."""
        place: str | None = path
        while place is not None and place not in self.lines:
            place = around(place)
        return None if place is None else self.lines[place]

    def inside(self, *keys: str) -> Source:
        """The value below `keys` as a source of its own."""
        value, path = self.value, ".".join(keys)
        for key in keys:
            value = value[key]
        lines = {below(path, at): line for at, line in self.lines.items()}
        twice = [(below(path, at), problem) for at, problem in self.twice]
        return Source(self.path, value, lines, twice)

    def refusal(self, problems: Sequence[Fault]) -> InvalidConfiguration:
        """The error that tells these faults by file and line."""
        found = {path: self.line_of(path) for path, _ in problems}
        lines = {path: line for path, line in found.items() if line is not None}
        return InvalidConfiguration(list(problems), file=str(self.path), lines=lines)


def is_yaml(path: Path) -> bool:
    """Whether a file's name says that it is YAML."""
    return path.suffix.lower() in YAML_ENDINGS


def read_file(path: Path) -> Source:
    """What a file holds; InvalidConfiguration where it cannot be read, with the line if it can."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidConfiguration([("$", f"cannot read {path}: {error.strerror}")]) from None
    return _of_yaml(path, data) if is_yaml(path) else _of_json(path, data)


def _of_json(path: Path, data: bytes) -> Source:
    try:
        text = data.decode(json.detect_encoding(data), "surrogatepass")
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise _unreadable(path, f"is not JSON: {error.msg}", error.lineno) from None
    except (ValueError, RecursionError) as error:
        raise _unreadable(path, f"is not JSON: {error}") from None
    return Source(path, value, *json_lines(text))


def need_yaml(path: Path) -> None:
    """WrongUse where PyYAML is not installed, for a file that is YAML."""
    try:
        import yaml  # noqa: F401
    except ImportError:
        needed = "is YAML, which needs PyYAML: `python -m pip install PyYAML`"
        raise WrongUse(f"{path} {needed}") from None


def _of_yaml(path: Path, data: bytes) -> Source:
    need_yaml(path)
    import yaml

    from slipway.configuration.yaml_values import YamlReader

    try:
        reader = YamlReader(data)
        return Source(path, reader.document(), reader.lines, reader.twice)
    except yaml.MarkedYAMLError as error:
        mark, said = error.problem_mark or error.context_mark, error.problem or error.context
        line = mark.line + 1 if mark is not None else None
        raise _unreadable(path, f"is not YAML: {said}", line) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _unreadable(path, f"is not YAML: {' '.join(str(error).split())}") from None


def _unreadable(path: Path, problem: str, line: int | None = None) -> InvalidConfiguration:
    return Source(path, None, {} if line is None else {"$": line}).refusal([("$", problem)])
