"""A YAML document as a value, with the line of each path and the keys that it gives twice.

PyYAML reads, and knows the lines; of a key given twice it would take the last and say nothing.
"""

from __future__ import annotations

from typing import Any

import yaml

from slipway.configuration.paths import Fault, given_twice, joined

MOST_VALUES = 100_000
"""A few lines of references to references are a million values."""
MERGE = "tag:yaml.org,2002:merge"


class YamlReader:
    """Makes values of a document's nodes. Raises what PyYAML does, and ValueError for too many."""

    def __init__(self, data: bytes) -> None:
        self._loader = yaml.SafeLoader(data)
        self._made = 0
        self._own: dict[int, dict[str, int]] = {}
        self.lines: dict[str, int] = {}
        self.twice: list[Fault] = []

    def document(self) -> Any:
        """The only document's value."""
        try:
            node = self._loader.get_single_node()
            return None if node is None else self._value(node, "$")
        finally:
            self._loader.dispose()

    def _value(self, node: Any, path: str) -> Any:
        self._made += 1
        if self._made > MOST_VALUES:
            raise ValueError(f"more than {MOST_VALUES} values")
        self.lines.setdefault(path, node.start_mark.line + 1)
        if node.id == "mapping":
            return self._mapping(node, path)
        if node.id == "sequence":
            return [self._value(one, joined(path, at)) for at, one in enumerate(node.value)]
        return self._loader.construct_object(node)

    def _mapping(self, node: Any, path: str) -> dict[str, Any]:
        own = self._own_keys(node, path)
        self._loader.flatten_mapping(node)  # what `<<` brings comes first, and gives way
        made: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            member = joined(path, key)
            line = own.get(key, key_node.start_mark.line + 1)
            made[key] = self._value(value_node, member)
            self.lines[member] = line
        return made

    def _own_keys(self, node: Any, path: str) -> dict[str, int]:
        """The lines of a mapping's keys, as they were before `<<` was followed."""
        if id(node) in self._own:
            return self._own[id(node)]
        lines = self._own[id(node)] = {}
        for key_node, _ in node.value:
            if key_node.tag == MERGE:
                continue
            key, line = self._key(key_node), key_node.start_mark.line + 1
            if key in lines:
                self.twice.append(given_twice(joined(path, key), lines[key], line))
            lines[key] = line
        return lines

    def _key(self, node: Any) -> str:
        key = self._loader.construct_object(node, deep=True) if node.id == "scalar" else None
        if not isinstance(key, str):
            said = f"a key must be text: write it in quotes ({node.value})"
            raise yaml.MarkedYAMLError(problem=said, problem_mark=node.start_mark)
        return key
