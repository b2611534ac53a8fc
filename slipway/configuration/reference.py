"""docs/configuration.md and the JSON Schema beside it, from the model.

`python -m slipway.configuration.reference` writes both.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from slipway.configuration import CONTEXT_KEY, Configuration
from slipway.configuration.schema import json_schema_text

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "docs" / "configuration.md"
SCHEMA_TARGET = ROOT / "docs" / "configuration.schema.json"
EXAMPLE = ROOT / "cdk.json"
RICH_EXAMPLE = "tests/infra/configurations/full.json"
BUILDERS_EXAMPLE = "tests/infra/configurations/code-build.json"
OVERFLOW_EXAMPLE = "tests/infra/configurations/overflow.json"

HEAD = """# Configuration

The configuration describes an installation. It stands under the context key `slipway` of `cdk.json`, or in a file of its own.

```sh
slipway init ../ours/stage.yaml            # writes one: asks, and looks at the account
slipway config check                       # cdk.json: says all that is wrong, and where
slipway config check ../ours/stage.yaml    # another file
```

`cdk synth` refuses a wrong configuration in the same words. Only `config check` also refuses the account numbers of the examples:
replace them.

Keys are camelCase. A key that is not in the tables below is an error, and so is one that is given twice. A key in **bold** must be
given. This page is made from the code (`make docs`).

## In a file of its own

The configuration can stand outside this folder. Then an update of Slipway never touches it. The file is JSON, or YAML if its name
ends in `.yaml` or `.yml`. (YAML needs PyYAML. `make setup` brings it, and so does the extra `slipway[yaml]`.) Each command takes it:

```sh
slipway config check ../ours/stage.yaml
make deploy CONFIGURATION=../ours/stage.yaml DEV_PROFILE=dev-admin PROD_PROFILE=prod-admin
slipway status --installation ../ours/stage.yaml    # or SLIPWAY_INSTALLATION, for all commands
```

`make deploy` runs `slipway prepare --installation FILE`, then `cdk deploy` with `--context configuration=FILE`. What
`slipway prepare` finds is kept in `cdk.context.json` beside the file. Commit both files.

Stage and production side by side are two files with two different `name`s. They may be in the same accounts. Both sides of one
installation may be in one account, too.
"""  # noqa: E501 - a page

SERVICES = f"""
## In an editor

`docs/configuration.schema.json` is the JSON Schema of this value. An editor that knows it completes
keys, shows what each is for, and marks what is wrong while one types. A configuration in a file of
its own names it in `$schema`. Outside this repository `slipway config schema` writes the schema of
the Slipway that is installed:

```sh
slipway config schema > slipway.schema.json    # then "$schema": "./slipway.schema.json"
```

The schema checks one value at a time. What must hold between values, `slipway config check` tells.

## How it fits what you have

| You have | Write |
|---|---|
| a repository already | `repository.name`, and `create` false. An EventBridge rule then tells of its pushes, because CloudFormation cannot give a trigger to a repository that it did not make |
| a service already | `service.cluster` and `service.name`; `family`, if it differs from the name; in `roles` the two roles that its task definition names |
| one service that runs several images | several entries in `images`, each with its `containers` |
| several services that one push changes together, or not at all | one pipeline with `services` in place of `service` ([several services](operating.md#several-services-in-one-pipeline)) |
| one repository for services that are deployed each by itself | several pipelines with the same repository and branch |
| a network already | `network.vpcId` and `network.subnetId`. The hosts need a way out on the ports 443 and 80, and none in |
| few pushes, or very many | `builders.when`: CodeBuild in place of hosts, or beside them ([choosing an engine](operating.md#choosing-an-engine)) |

[`{RICH_EXAMPLE}`](../{RICH_EXAMPLE}) is an example that uses every key but those of builders. [`{BUILDERS_EXAMPLE}`](../{BUILDERS_EXAMPLE})
has those where CodeBuild alone builds, [`{OVERFLOW_EXAMPLE}`](../{OVERFLOW_EXAMPLE}) where it builds what hosts do not get to.
"""  # noqa: E501 - a table


def document() -> str:
    """The whole page."""
    schema = Configuration.model_json_schema(by_alias=True)
    definitions = schema.get("$defs", {})
    parts = [HEAD, "## The smallest\n", _example(), SERVICES, "## Every key\n"]
    parts.append(_section("slipway", schema, definitions))
    parts += [_section(name, definitions[name], definitions) for name in _order(definitions)]
    return "\n".join(parts)


def _example() -> str:
    context = json.loads(EXAMPLE.read_text(encoding="utf-8"))["context"]
    return f"```json\n{json.dumps(context[CONTEXT_KEY], indent=2)}\n```"


def _order(definitions: dict[str, Any]) -> list[str]:
    return [*sorted(name for name in definitions if name != "Local"), "Local"]


def _section(name: str, schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    required = set(schema.get("required", []))
    rows = [
        f"| {_key(key, required)} | {_type(value, definitions)} | {_default(value, key, required)} "
        f"| {_description(value)} |"
        for key, value in schema["properties"].items()
    ]
    about = " ".join(schema.get("description", "").split())
    title = f"### {name}\n\n{about}\n"
    return "\n".join([title, "| Key | Value | Default | Meaning |", "|---|---|---|---|", *rows, ""])


def _key(key: str, required: set[str]) -> str:
    return f"**`{key}`**" if key in required else f"`{key}`"


def _type(value: dict[str, Any], definitions: dict[str, Any]) -> str:
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in value:
        return " or ".join(_type(v, definitions) for v in value["anyOf"] if v.get("type") != "null")
    if "allowed" in value:
        return str(value["allowed"]).replace("|", "\\|")
    if "enum" in value:
        return ", ".join(f"`{json.dumps(v)}`" for v in value["enum"])
    return _plain_type(value, definitions)


def _plain_type(value: dict[str, Any], definitions: dict[str, Any]) -> str:
    kind = value.get("type")
    if kind == "array":
        items = _type(value["items"], definitions)
        return f"list of {items}{_bounds(value, 'minItems', 'maxItems')}"
    names = {
        "object": "object of texts",
        "string": "text",
        "integer": "whole number",
        "boolean": "true or false",
    }
    return names.get(str(kind), "number") + _bounds(value, "minimum", "maximum")


def _bounds(value: dict[str, Any], low: str, high: str) -> str:
    least, most = value.get(low), value.get(high)
    if least is None and most is None:
        return ""
    if most is None:
        return f", at least {least}"
    return f", at most {most}" if least is None else f", {least} to {most}"


def _default(value: dict[str, Any], key: str, required: set[str]) -> str:
    if key in required:
        return ""
    default = value.get("default")
    if default is None or "$ref" in value or isinstance(default, dict):
        return ""
    return f"`{json.dumps(default)}`"


def _description(value: dict[str, Any]) -> str:
    return " ".join(value.get("description", "").split()).replace("|", "\\|")


def main() -> None:
    """Write the page anew."""
    TARGET.write_text(document(), encoding="utf-8")
    SCHEMA_TARGET.write_text(json_schema_text(), encoding="utf-8")


if __name__ == "__main__":
    main()
