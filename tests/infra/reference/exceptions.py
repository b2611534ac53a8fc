"""Where AWS takes what its reference says that it does not: few, each with its source.

One that nothing needs any more fails a test: the reference has caught up, or the statement went.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tests.infra.reference.judge import Finding


@dataclass(frozen=True)
class Known:
    """A finding about `action` whose problem begins so is none; `source`: who says it."""

    action: str
    problem: str
    source: str

    def covers(self, finding: Finding) -> bool:
        return finding.action == self.action and finding.problem.startswith(self.problem)


EXCEPTIONS = (
    Known(
        action="ecs:ListTasks",
        problem="has '*' where AWS takes a name: container-instance",
        source="ECS developer guide, 'Identity-based policy examples', list and describe tasks: "
        "the container instance is asked for where one is listed; a list of a cluster's tasks "
        "has '*' and the condition ecs:cluster (awsdocs/amazon-ecs-developer-guide issue 211).",
    ),
    Known(
        action="ssm:UpdateInstanceInformation",
        problem="has '*' where AWS takes a name: instance",
        source="AWS's own AmazonSSMManagedInstanceCore: '*'. The role is made before its hosts, "
        "so it cannot name them.",
    ),
)


def unexcused(
    findings: Iterable[Finding], exceptions: Iterable[Known] = EXCEPTIONS
) -> tuple[list[Finding], list[Known]]:
    """The findings that no exception covers, and the exceptions that cover none."""
    kept, needed = [], set()
    for finding in findings:
        covering = [e for e in exceptions if e.covers(finding)]
        needed.update(covering)
        if not covering:
            kept.append(finding)
    return kept, [e for e in exceptions if e not in needed]
