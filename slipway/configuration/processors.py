"""Which processor an instance type has, as its name says by EC2's own rules."""

from __future__ import annotations

import re
from typing import Literal

Processor = Literal["arm64", "x86_64"]


def processor_of(instance_type: str) -> Processor | None:
    """The processor of an EC2 instance type; None where the name does not say (Macs, `p6e-gb200`).

    A family is letters, the generation's digit, then what is particular about it: a `g` first of
    all there is Graviton (`docs.aws.amazon.com`, "Amazon EC2 instance type naming conventions").
    Only the first Gravitons, `a1`, had a letter of their own.
    """
    family = instance_type.partition(".")[0]
    named = re.fullmatch(r"([a-z]+)([0-9]+)([a-z]*)(-flex)?", family)
    if family.startswith("mac") or named is None:
        return None
    letters, _generation, attributes, _flex = named.groups()
    return "arm64" if letters == "a" or attributes.startswith("g") else "x86_64"
