"""Slack's limits, written down: what an incoming webhook accepts, for the blocks that exist here.

Sources: https://docs.slack.dev/reference/block-kit/blocks (one page per block) and
https://docs.slack.dev/reference/block-kit/composition-objects/text-object. Lengths are UTF-16 units
of the text as sent. Written without a look at what Slipway makes: the tests hold the one against
the other, and the page refuses what Slack would refuse.
"""

from __future__ import annotations

import re
from typing import Any

BLOCKS_PER_MESSAGE = 50
MESSAGE_TEXT = 40_000
HEADER_TEXT = 150
SECTION_TEXT = 3000
SECTION_FIELDS = 10
FIELD_TEXT = 2000
CONTEXT_ELEMENTS = 10
TEXT_OBJECT = 3000
BLOCK_ID = 255
BLOCK_TYPES = ("header", "section", "context", "divider")

_TEXT_MEMBERS = {
    "plain_text": {"type", "text", "emoji"},
    "mrkdwn": {"type", "text", "verbatim"},
}
_BLOCK_MEMBERS = {
    "header": {"type", "block_id", "text"},
    "section": {"type", "block_id", "text", "fields", "expand"},
    "context": {"type", "block_id", "elements"},
    "divider": {"type", "block_id"},
}
_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")


def faults(payload: Any) -> list[str]:
    """Everything that Slack would refuse in a webhook's payload, by path; empty if it is well."""
    if not isinstance(payload, dict):
        return ["$: must be an object"]
    found: list[str] = []
    text, blocks = payload.get("text"), payload.get("blocks")
    if text is None and not blocks:
        return ["$: no_text: neither text nor blocks"]
    if text is not None:
        found += _string("text", text, MESSAGE_TEXT)
    if blocks is not None:
        found += _blocks(blocks)
    return found


def _blocks(blocks: Any) -> list[str]:
    if not isinstance(blocks, list):
        return ["blocks: must be a list"]
    found = [f"blocks: more than {BLOCKS_PER_MESSAGE}"] if len(blocks) > BLOCKS_PER_MESSAGE else []
    for number, block in enumerate(blocks):
        found += _block(f"blocks[{number}]", block)
    return found


def _block(path: str, block: Any) -> list[str]:
    if not isinstance(block, dict):
        return [f"{path}: must be an object"]
    kind = block.get("type")
    if kind not in BLOCK_TYPES:
        return [f"{path}.type: {kind!r} is not one of {', '.join(BLOCK_TYPES)}"]
    found = [f"{path}.{m}: is not a member" for m in block if m not in _BLOCK_MEMBERS[kind]]
    if "block_id" in block:
        found += _string(f"{path}.block_id", block["block_id"], BLOCK_ID)
    match kind:
        case "header":
            found += _text(f"{path}.text", block.get("text"), HEADER_TEXT, ("plain_text",))
        case "section":
            found += _section(path, block)
        case "context":
            found += _texts(f"{path}.elements", block.get("elements"), CONTEXT_ELEMENTS)
    return found


def _section(path: str, block: dict[str, Any]) -> list[str]:
    if "text" not in block and "fields" not in block:
        return [f"{path}: needs text or fields"]
    found: list[str] = []
    if "text" in block:
        found += _text(f"{path}.text", block["text"], SECTION_TEXT)
    if "fields" in block:
        found += _texts(f"{path}.fields", block["fields"], SECTION_FIELDS, FIELD_TEXT)
    return found


def _texts(path: str, values: Any, most: int, limit: int = TEXT_OBJECT) -> list[str]:
    if not isinstance(values, list) or not 1 <= len(values) <= most:
        return [f"{path}: must be a list of 1 to {most}"]
    return [f for n, value in enumerate(values) for f in _text(f"{path}[{n}]", value, limit)]


def _text(
    path: str, value: Any, limit: int, kinds: tuple[str, ...] = ("plain_text", "mrkdwn")
) -> list[str]:
    if not isinstance(value, dict) or value.get("type") not in kinds:
        return [f"{path}: must be a text object of type {' or '.join(kinds)}"]
    found = [f"{path}.{m}: is not a member" for m in value if m not in _TEXT_MEMBERS[value["type"]]]
    for flag in ("emoji", "verbatim"):
        if flag in value and not isinstance(value[flag], bool):
            found.append(f"{path}.{flag}: must be true or false")
    return found + _string(f"{path}.text", value.get("text"), limit)


def _string(path: str, value: Any, limit: int) -> list[str]:
    if not isinstance(value, str) or not value:
        return [f"{path}: must be a text that is not empty"]
    found = []
    if _LONE_SURROGATE.search(value):
        found.append(f"{path}: is not Unicode")
    length = len(value.encode("utf-16-le", "surrogatepass")) // 2
    if length > limit:
        found.append(f"{path}: {length} characters, more than {limit}")
    if "\x00" in value:
        found.append(f"{path}: holds a null")
    return found
