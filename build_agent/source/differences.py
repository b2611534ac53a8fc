"""CodeCommit's own comparison of two commits, asked as the pipeline's `source` role."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from slipway.contracts.installation import PipelineSettings
from slipway.following.differences import Differences, touched_by

ClientAs = Callable[[dict[str, str]], Any]
"""From a role's temporary credentials to a CodeCommit client in the dev account's region."""


def assumed_differences(sts: Any, client_as: ClientAs, *, session_name: str) -> Differences:
    """Comparisons by assuming the pipeline's role afresh each time."""

    def compare(
        pipeline: PipelineSettings, old: str, new: str, say: Callable[[str], None]
    ) -> bool | None:
        try:
            answer = sts.assume_role(
                RoleArn=pipeline.source_role_arn,
                RoleSessionName=session_name,
                DurationSeconds=900,
            )
        except (ClientError, BotoCoreError) as error:
            say(f"CodeCommit cannot be asked to compare {old} and {new}: {error}")
            return None
        return touched_by(client_as(answer["Credentials"]), pipeline, old, new, say)

    return compare
