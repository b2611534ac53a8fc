"""From a file, or a value, to a configuration; a fault is told by path, value and what may be."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from slipway.configuration.files import Source, read_file
from slipway.configuration.meant import known_keys, nearest
from slipway.configuration.parts import Configuration
from slipway.configuration.paths import Fault, joined, printable
from slipway.configuration.rules import broken_rules
from slipway.contracts.errors import InvalidConfiguration

CONTEXT_KEY = "slipway"

Location = tuple[int | str, ...]
Rule = Callable[[Configuration], list[Fault]]


def no_rule(_configuration: Configuration) -> list[Fault]:
    """Nothing besides what every configuration must keep to."""
    return []


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


def load(path: Path, *, also: Rule = no_rule) -> Configuration:
    """The configuration in a file: cdk.json (its context key `slipway`), or the value itself.

    YAML where the name ends so. InvalidConfiguration tells each fault by file and line; `also` is
    asked for further faults of a configuration that is right.
    """
    source = source_of(path)
    try:
        configuration = parse(source.value)
        faults = also(configuration)
    except InvalidConfiguration as error:
        faults = error.problems
    if source.twice or faults:
        raise source.refusal([*source.twice, *faults])
    return configuration


def read(path: Path) -> Any:
    """The raw value in a file, or InvalidConfiguration with the path `$`."""
    source = source_of(path)
    if source.twice:
        raise source.refusal(source.twice)
    return source.value


def source_of(path: Path) -> Source:
    """The value in a file, with its lines; of a CDK app's settings the context key `slipway`."""
    source = read_file(path)
    data = source.value
    if not isinstance(data, dict) or "app" not in data:
        return source
    context = data.get("context", {})
    if not isinstance(context, dict) or CONTEXT_KEY not in context:
        raise source.refusal([(f"context.{CONTEXT_KEY}", "is missing")])
    return source.inside("context", CONTEXT_KEY)


def _problems(error: ValidationError) -> list[Fault]:
    return [(_path(e["loc"]), _problem(dict(e))) for e in error.errors(include_url=False)]


def _path(location: Location) -> str:
    path = "$"
    for part in location:
        if part != "[key]":
            path = joined(path, part)
    return path


def _problem(error: dict[str, Any]) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return f"is not a known key here{_meant(error['loc'])}"
    text = _WORDS.get(kind, error["msg"])
    if kind == "value_error":
        text = str(context.get("error", ""))
    text = re.sub(r"^Input should be", "must be", text)
    return f"{_shown(error.get('input'))}: {text}"


_WORDS = {
    "string_type": "must be a text, in quotes",
    "model_type": "must be an object",
    "dict_type": "must be an object",
    "list_type": "must be a list",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
}
"""For pydantic's words, which are about Python."""


def _meant(location: Location) -> str:
    *place, key = location
    near = nearest(str(key), known_keys(place))
    return f'; did you mean "{near}"?' if near else ""


def _shown(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except RecursionError:
        return "..."
    return printable(text if len(text) <= 80 else text[:77] + "...")
