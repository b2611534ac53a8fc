"""The sample service, as the configuration describes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from slipway.configuration import read
from tests.infra.templates import LOCAL, resources, synthesize

CHECK = ["CMD", "true"]


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ({}, None),
        ({"healthStartPeriod": 150}, None),
        ({"healthCommand": CHECK}, {}),
        ({"healthCommand": CHECK, "healthStartPeriod": 150}, {"StartPeriod": 150}),
    ],
)
def test_a_container_may_be_unhealthy_for_as_long_as_the_configuration_says(
    service: dict[str, Any], expected: dict[str, int] | None, tmp_path: Path
) -> None:
    # GIVEN a sample service / WHEN it is synthesized
    data = read(LOCAL)
    data["pipelines"][0]["service"] |= service
    (definition,) = resources(synthesize(data, tmp_path).prod, "AWS::ECS::TaskDefinition").values()
    # THEN
    check = definition["ContainerDefinitions"][0].get("HealthCheck")
    always = {"Command": CHECK, "Interval": 5, "Retries": 3, "Timeout": 3}
    assert check == (None if expected is None else {**always, **expected})
