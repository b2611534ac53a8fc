"""Gap closed: there is no CodeCommit API.

GetRepository, GetBranch, GetCommit, GetDifferences, ListBranches, GetRepositoryTriggers,
PutRepositoryTriggers and TestRepositoryTriggers answer from the bare git repositories, under IAM
like any other service.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from ministack import app
from ministack.core import iam_actions, router
from ministack.core.responses import error_response_json, get_account_id, get_region, json_response

from local.emulator.extension import push_events
from local.emulator.extension.private import need, wrap
from local.emulator.extension.repositories import (
    Repositories,
    Repository,
    Trigger,
    references,
    run_git,
)
from local.emulator.settings import EmulatorSettings
from slipway.contracts.errors import WorldFailed

TARGET = "CodeCommit_20150413"
PAGE = 100
"""Differences that one answer holds."""
Data = dict[str, Any]
Response = tuple[int, dict[str, str], bytes]


class CodeCommitError(Exception):
    """An answer of the API that is an error: the exception's name and its message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class CodeCommitApi:
    """The API's operations."""

    def __init__(self, repositories: Repositories, endpoint_url: str) -> None:
        self._repositories = repositories
        self._endpoint_url = endpoint_url
        self._operations: dict[str, Callable[[Data], Data]] = {
            "GetRepository": self.get_repository,
            "GetBranch": self.get_branch,
            "ListBranches": self.list_branches,
            "GetCommit": self.get_commit,
            "GetDifferences": self.get_differences,
            "GetRepositoryTriggers": self.get_triggers,
            "PutRepositoryTriggers": self.put_triggers,
            "TestRepositoryTriggers": self.test_triggers,
        }

    async def handle_request(
        self, _method: str, _path: str, headers: dict[str, str], body: bytes, _query: Data
    ) -> Response:
        """Answer one request that ministack has authenticated and authorized."""
        name = headers.get("x-amz-target", "").rpartition(".")[2]
        operation = self._operations.get(name)
        if operation is None:
            return _error("UnknownOperationException", f"{name} is not in the local CodeCommit")
        try:
            response: Response = json_response(operation(json.loads(body or b"{}")))
        except CodeCommitError as error:
            return _error(error.code, str(error))
        return response

    def get_repository(self, data: Data) -> Data:
        repository = self._named(data)
        clone_url = f"{self._endpoint_url}/v1/repos/{repository.name}"
        return {
            "repositoryMetadata": {
                "accountId": repository.account,
                "repositoryId": repository.repository_id,
                "repositoryName": repository.name,
                "repositoryDescription": repository.description,
                "defaultBranch": run_git(repository.path, "symbolic-ref", "--short", "HEAD"),
                "lastModifiedDate": repository.created_at,
                "creationDate": repository.created_at,
                "cloneUrlHttp": clone_url,
                "Arn": repository.arn,
            }
        }

    def get_branch(self, data: Data) -> Data:
        repository = self._named(data)
        branch = data.get("branchName") or ""
        if not branch:
            raise CodeCommitError("BranchNameRequiredException", "A branch name is required")
        commit = references(repository).get(push_events.BRANCH + branch)
        if commit is None:
            raise CodeCommitError(
                "BranchDoesNotExistException",
                f"Branch {branch} does not exist in repository {repository.name}",
            )
        return {"branch": {"branchName": branch, "commitId": commit}}

    def list_branches(self, data: Data) -> Data:
        known = references(self._named(data))
        return {
            "branches": [
                name.removeprefix(push_events.BRANCH)
                for name in known
                if name.startswith(push_events.BRANCH)
            ]
        }

    def get_commit(self, data: Data) -> Data:
        repository = self._named(data)
        commit = data.get("commitId") or ""
        try:
            shown = run_git(
                repository.path,
                "show",
                "--no-patch",
                "--format=%T%x00%P%x00%an%x00%ae%x00%ad%x00%cn%x00%ce%x00%cd%x00%B",
                "--date=raw",
                "--end-of-options",
                commit,
            )
        except WorldFailed as error:
            raise CodeCommitError(
                "CommitIdDoesNotExistException", f"Commit {commit} does not exist"
            ) from error
        tree, parents, *people, message = shown.split("\0")
        author = dict(zip(("name", "email", "date"), people[:3], strict=True))
        committer = dict(zip(("name", "email", "date"), people[3:], strict=True))
        return {
            "commit": {
                "commitId": commit,
                "treeId": tree,
                "parents": parents.split(),
                "message": message,
                "author": author,
                "committer": committer,
            }
        }

    def get_differences(self, data: Data) -> Data:
        repository = self._named(data)
        commits = [str(data.get(f"{side}CommitSpecifier") or "") for side in ("before", "after")]
        try:
            compared = run_git(
                repository.path, "diff-tree", "-r", "-z", "--no-renames", "--end-of-options",
                *(f"{commit}^{{commit}}" for commit in commits),
            )  # fmt: skip
        except WorldFailed as error:
            raise CodeCommitError(
                "CommitDoesNotExistException", f"One of {', '.join(commits)} does not exist"
            ) from error
        parts = compared.split("\0")[:-1]
        found = [_difference(*pair) for pair in zip(parts[::2], parts[1::2], strict=True)]
        at = int(data.get("NextToken") or 0)
        more = {"NextToken": str(at + PAGE)} if at + PAGE < len(found) else {}
        return {"differences": found[at : at + PAGE], **more}

    def get_triggers(self, data: Data) -> Data:
        repository = self._named(data)
        return {
            "configurationId": repository.repository_id,
            "triggers": [_shown(trigger) for trigger in repository.triggers],
        }

    def put_triggers(self, data: Data) -> Data:
        repository = self._named(data)
        self._repositories.set_triggers(repository, _given(data))
        return {"configurationId": repository.repository_id}

    def test_triggers(self, data: Data) -> Data:
        repository = self._named(data)
        known = references(repository)
        succeeded: list[str] = []
        failed: list[Data] = []
        for trigger in _given(data):
            branch = trigger.branches[0] if trigger.branches else "main"
            tip = known.get(push_events.BRANCH + branch)
            event = push_events.trial_payload(repository, trigger, tip)
            if push_events.run_trigger(repository, trigger, event):
                succeeded.append(trigger.name)
            else:
                failed.append({"trigger": trigger.name, "failureMessage": "cannot be invoked"})
        return {"successfulExecutions": succeeded, "failedExecutions": failed}

    def _named(self, data: Data) -> Repository:
        name = data.get("repositoryName") or ""
        repository = self._repositories.get(get_account_id(), get_region(), name)
        if repository is None:
            raise CodeCommitError("RepositoryDoesNotExistException", f"{name} does not exist")
        return repository


def _difference(raw: str, path: str) -> Data:
    """Of a line of `git diff-tree`: `:100644 100755 <before> <after> M`."""
    before_mode, mode, before, after, kind = raw.removeprefix(":").split()
    old = {"blobId": before, "path": path, "mode": before_mode}
    new = {"blobId": after, "path": path, "mode": mode}
    change = kind if kind in ("A", "D") else "M"
    sides = {"A": {"afterBlob": new}, "D": {"beforeBlob": old}}
    return {"changeType": change, **sides.get(change, {"beforeBlob": old, "afterBlob": new})}


def _given(data: Data) -> tuple[Trigger, ...]:
    return tuple(
        Trigger(
            name=trigger["name"],
            destination_arn=trigger["destinationArn"],
            custom_data=trigger.get("customData") or "",
            branches=tuple(trigger.get("branches") or ()),
            events=tuple(trigger.get("events") or ("all",)),
        )
        for trigger in data.get("triggers") or []
    )


def _shown(trigger: Trigger) -> Data:
    return {
        "name": trigger.name,
        "destinationArn": trigger.destination_arn,
        "customData": trigger.custom_data,
        "branches": list(trigger.branches),
        "events": list(trigger.events),
    }


def _error(code: str, message: str) -> Response:
    response: Response = error_response_json(code, message, 400)
    return response


def _with_repository_arn(extract: Callable[..., str]) -> Callable[..., str]:
    def extract_arn(  # noqa: PLR0917 - ministack's own signature
        service: str,
        method: str,
        path: str,
        headers: Data,
        body: bytes,
        query: Data,
        region: str,
        account: str,
    ) -> str:
        if service != "codecommit":
            return extract(service, method, path, headers, body, query, region, account)
        name = iam_actions._safe_json_field(body, "repositoryName")
        return f"arn:aws:codecommit:{region}:{account}:{name}" if name else "*"

    return extract_arn


def install(settings: EmulatorSettings, repositories: Repositories) -> None:
    """Add CodeCommit to ministack's services, so that it routes and authorizes it."""
    api = CodeCommitApi(repositories, settings.endpoint_url)
    handler: Callable[..., Awaitable[Response]] = api.handle_request
    need(router, "SERVICE_PATTERNS")["codecommit"] = {"target_prefixes": [TARGET]}
    need(iam_actions, "SERVICE_TO_IAM_NAMESPACE")["codecommit"] = "codecommit"
    need(app, "SERVICE_HANDLERS")["codecommit"] = handler
    need(iam_actions, "_safe_json_field")
    wrap(iam_actions, "extract_resource_arn", _with_repository_arn)
