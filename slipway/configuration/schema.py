"""The configuration as a JSON Schema, for editors: `docs/configuration.schema.json`, of the model.

`$schema` in a configuration names it. It says of a configuration what can be said of one value at a
time; what must hold between values is for `slipway config check` (`slipway.configuration.rules`).
"""

from __future__ import annotations

import json
from typing import Any

from slipway.configuration.parts import Configuration

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]


def json_schema() -> Schema:
    """The schema, in JSON Schema's draft 2020-12; each text's pattern with words for an editor."""
    schema = _for_editors(Configuration.model_json_schema(by_alias=True))
    return {"$schema": DIALECT, "title": "Configuration of Slipway", **schema}


def json_schema_text() -> str:
    """The schema as its file holds it."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _for_editors(value: Any, *, names: bool = False) -> Any:
    """Without titles that only repeat a key; `names`: the members' keys are the configuration's.

    `patternErrorMessage` is what VS Code and the YAML language server say in a pattern's place.
    """
    if isinstance(value, list):
        return [_for_editors(item) for item in value]
    if not isinstance(value, dict):
        return value
    made: Schema = {}
    for key, inner in value.items():
        if names or key not in ("title", "allowed", "default"):
            made[key] = _for_editors(inner, names=key in ("properties", "$defs") and not names)
        elif key == "allowed":
            made["patternErrorMessage"] = f"must be {inner}"
        elif key == "default" and not isinstance(inner, dict) and inner is not None:
            made[key] = inner
    if "patternProperties" in made:  # pydantic leaves other keys open
        made["additionalProperties"] = False
    return made
