"""From a file, or a value, to a configuration; a fault is told by path, value and what may be."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from slipway.configuration.parts import Configuration
from slipway.configuration.rules import Fault, broken_rules
from slipway.contracts.errors import InvalidConfiguration

CONTEXT_KEY = "slipway"


def parse(data: Any) -> Configuration:
    """The configuration that `data` (JSON values) is; InvalidConfiguration names each fault."""
    try:
        configuration = Configuration.model_validate(data)
    except ValidationError as error:
        raise InvalidConfiguration(_problems(error)) from None
    faults = broken_rules(configuration)
    if faults:
        raise InvalidConfiguration(faults)
    return configuration


def load(path: Path) -> Configuration:
    """The configuration in a file: cdk.json (its context key `slipway`), or the value itself."""
    return parse(read(path))


def read(path: Path) -> Any:
    """The raw value in a file, or InvalidConfiguration with the path `$`."""
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise InvalidConfiguration([("$", f"cannot read {path}: {error.strerror}")]) from None
    except (ValueError, RecursionError) as error:
        raise InvalidConfiguration([("$", f"{path} is not JSON: {error}")]) from None
    if isinstance(data, dict) and "app" in data:
        context = data.get("context", {})
        if not isinstance(context, dict) or CONTEXT_KEY not in context:
            raise InvalidConfiguration([(f"context.{CONTEXT_KEY}", f"is missing in {path}")])
        return context[CONTEXT_KEY]
    return data


def _problems(error: ValidationError) -> list[Fault]:
    return [(_path(e["loc"]), _problem(dict(e))) for e in error.errors(include_url=False)]


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part != "[key]":
            path += f".{part}" if path else part
    return _printable(path) or "$"


def _problem(error: dict[str, Any]) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return "is not a known key here"
    text = str(context.get("error", "")) if kind == "value_error" else error["msg"]
    text = re.sub(r"^Input should be", "must be", text)
    return f"{_shown(error.get('input'))}: {text}"


def _shown(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except RecursionError:
        return "..."
    return _printable(text if len(text) <= 80 else text[:77] + "...")


def _printable(text: str) -> str:
    """`text` as a terminal shows it: what is no character to be seen is written out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
