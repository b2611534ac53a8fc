"""What somebody may have meant by a key or a name that is none."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic.alias_generators import to_camel

from slipway.configuration.parts import Configuration


def nearest(given: str, known: Iterable[str]) -> str | None:
    """The known word that is most like the given one, whatever its case and underscores."""
    names = {name.lower(): name for name in known}
    camel = to_camel(given) if re.fullmatch(r"[A-Za-z_]+", given) else given
    close = difflib.get_close_matches(camel.lower(), names, n=1)
    return names[close[0]] if close else None


def known_keys(location: Sequence[int | str]) -> list[str]:
    """The keys that a configuration may have at a place, from the model's schema."""
    schema = Configuration.model_json_schema(by_alias=True)
    definitions = schema["$defs"]
    place: dict[str, Any] = schema
    for part in location:
        inner = place.get("properties", {}).get(part) if isinstance(part, str) else place["items"]
        if inner is None:
            return []
        place = _part(inner, definitions)
    return list(place.get("properties", {}))


def _part(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """The part that a key holds, where it may be left out too."""
    for choice in schema.get("anyOf", [schema]):
        if "$ref" in choice:
            found: dict[str, Any] = definitions[choice["$ref"].rpartition("/")[2]]
            return found
    return schema
