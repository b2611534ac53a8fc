"""Takes one action out of a role of the running local run and shows what that breaks.

    slipway local up --internal-endpoints
    python -m tests.e2e.without sqs:DeleteMessage@slipway-host

The tests of this folder do the same, whole, with SLIPWAY_E2E_WITHOUT=ACTION@ROLE. A run that was
brought up with `--builders codeBuild` shows what roles of builders may do.

Exit code 0: the chain failed without it, or the emulator denied it. 1: nobody noticed. The role
gets its policy back in any case.
"""

from __future__ import annotations

import copy
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from local.accounts import client_of
from local.state import State
from local.workplace import Workplace
from slipway.contracts.errors import SlipwayError, WorldFailed, WrongUse
from tests.e2e.builds import let_decide, live, lose_answer
from tests.e2e.chain import Chain
from tests.e2e.permissions import (
    BUILDERS_NOT_ASKED,
    BUILDERS_SELDOM,
    NOT_ASKED,
    SELDOM,
    as_document,
    as_list,
    asked,
)

CHAIN_SECONDS = 45.0
MISSING_VARIABLE = "SLIPWAY_E2E_WITHOUT"

LISTED = {**NOT_ASKED, **SELDOM, **BUILDERS_NOT_ASKED, **BUILDERS_SELDOM}


@dataclass(frozen=True)
class Permission:
    """One action of one role."""

    action: str
    role: str

    @classmethod
    def parse(cls, text: str) -> Permission:
        """`ACTION@ROLE`; WrongUse for anything else."""
        action, at, role = text.partition("@")
        if not (at and role and ":" in action):
            raise WrongUse(f"{text!r}: must be ACTION@ROLE, e.g. sqs:DeleteMessage@slipway-host")
        return cls(action, role)

    def __str__(self) -> str:
        return f"{self.action}@{self.role}"


@contextmanager
def taken_out(state: State, permission: Permission) -> Iterator[None]:
    """The role without the action while the block runs; WrongUse where it does not have it."""
    iam, before = _holder(state, permission)
    for name, document in before.items():
        _put(iam, permission.role, name, without(document, permission.action))
    try:
        yield
    finally:
        for name, document in before.items():
            _put(iam, permission.role, name, document)


@contextmanager
def without_what_is_missing(state: State) -> Iterator[None]:
    """The local run without the action that SLIPWAY_E2E_WITHOUT names, if it names one."""
    missing = os.environ.get(MISSING_VARIABLE)
    with taken_out(state, Permission.parse(missing)) if missing else nullcontext():
        yield


def _put(iam: Any, role: str, name: str, document: dict[str, Any]) -> None:
    iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))


def _holder(state: State, permission: Permission) -> tuple[Any, dict[str, dict[str, Any]]]:
    """The IAM client of the role's account, and its policies that allow the action."""
    for account in (state.dev_account, state.prod_account):
        iam = client_of("iam", state.endpoint_url, account, state.region)
        with suppress(iam.exceptions.NoSuchEntityException):
            names = iam.list_role_policies(RoleName=permission.role)["PolicyNames"]
            documents = {
                name: as_document(
                    iam.get_role_policy(RoleName=permission.role, PolicyName=name)["PolicyDocument"]
                )
                for name in names
            }
            holding = {
                name: document
                for name, document in documents.items()
                if without(document, permission.action) != document
            }
            if holding:
                return iam, holding
    raise WrongUse(f"{permission}: no such role, or it does not have that action")


def without(document: dict[str, Any], action: str) -> dict[str, Any]:
    """The policy without the action; a statement that has no action left goes."""
    changed = copy.deepcopy(document)
    statements = []
    for statement in as_list(changed["Statement"]):
        actions = as_list(statement["Action"])
        if action in actions:
            statement["Action"] = [a for a in actions if a != action]
        if statement["Action"]:
            statements.append(statement)
    changed["Statement"] = statements
    return changed


def failure_of(chain: Chain) -> str | None:
    """What of the chain does not happen; None if all of it does."""
    try:
        _push_is_deployed(chain)
        _poison_is_kept(chain)
        _lost_events_are_kept(chain)
        _lost_answers_are_looked_up(chain)
    except WorldFailed as error:
        return str(error)
    return None


def _push_is_deployed(chain: Chain) -> None:
    chain.until_asleep()
    began = time.time()
    pushed = chain.push(f"a probe at {began:.0f}")
    chain.until(
        "the answer with the commit", lambda: chain.serves() == pushed.commit_id, CHAIN_SECONDS
    )
    chain.until_ended(pushed, CHAIN_SECONDS)
    chain.until(
        "the notice", lambda: chain.notices(pushed.commit_id[:7], since=began), CHAIN_SECONDS
    )
    chain.until_asleep()
    queue = chain.names.build_queue
    chain.until("an empty queue", lambda: chain.depth(queue) == 0, CHAIN_SECONDS)


def _poison_is_kept(chain: Chain) -> None:
    chain.dead_letters()
    chain.prod("sqs").send_message(QueueUrl=chain.state.queue_url, MessageBody="poison")
    chain.push("beside poison")
    chain.until("the dead letter", chain.dead_letters, CHAIN_SECONDS)
    chain.until_asleep()


def _lost_events_are_kept(chain: Chain) -> None:
    names = chain.names
    places: list[tuple[str, str, Any, Any]] = [
        (names.trigger_function, names.failed_pushes, chain.dev("lambda"), chain.dev("sqs"))
    ]
    stopper = () if has_no_host(chain) else ("stopper",)
    for function in ("starter", *stopper, "reconciler"):
        clients = (chain.prod("lambda"), chain.prod("sqs"))
        places.append((names.function(function), names.failures, *clients))
    for function, queue, lambdas, sqs in places:
        before = chain.depth(queue, sqs)
        chain.kill_runs(function)
        chain.call(function, wait=False, client=lambdas)

        def kept(queue: str = queue, sqs: Any = sqs, before: int = before) -> bool:
            return chain.depth(queue, sqs) > before

        chain.until(f"the event kept in {queue}", kept, CHAIN_SECONDS)


def _lost_answers_are_looked_up(chain: Chain) -> None:
    """What StartBuild began is found again, by whoever decides, and its end is seen."""
    if not has_no_host(chain):
        return
    for function in ("starter", "reconciler"):
        chain.until("the end of every build", lambda: not live(chain), CHAIN_SECONDS)
        row = lose_answer(chain, "sample")
        let_decide(chain, function)

        def found(build_id: str | None = row.build_id) -> bool:
            return chain.table.builders.get("sample").build_id == build_id

        chain.until(f"the build, found by {function}", found, CHAIN_SECONDS)
    chain.call(chain.names.function("reconciler"), wait=True)
    chain.until("the row's end", lambda: not chain.table.builders.get("sample").is_live)


def has_no_host(chain: Chain) -> bool:
    """Whether builds of CodeBuild alone build."""
    return not chain.state.hosts


def probe(chain: Chain, permission: Permission) -> list[str]:
    """What shows that the action is missing: the chain's failure, the emulator's denial."""
    if str(permission) in asked(chain.state, allowed=False):
        raise WrongUse(f"{permission} was denied before already: bring the local run up afresh")
    with taken_out(chain.state, permission):
        failure = failure_of(chain)
    shown = [f"the chain fails: {failure}"] if failure else []
    if str(permission) in asked(chain.state, allowed=False):
        shown.append(f"the emulator denied {permission.action} to {permission.role}")
    return shown


@click.command()
@click.argument("permissions", nargs=-1, required=True)
@click.option("--directory", type=click.Path(path_type=Path), help="Default: .local")
def main(permissions: tuple[str, ...], directory: Path | None) -> None:
    """Take each ACTION@ROLE out, alone, and push."""
    workplace = Workplace(directory.resolve()) if directory else Workplace.default()
    chain, unnoticed = Chain(workplace.directory), 0
    try:
        for text in permissions:
            permission = Permission.parse(text)
            shown = probe(chain, permission)
            listed = LISTED.get(str(permission))
            unnoticed += not (shown or listed)
            click.echo(f"without {permission}: {'; '.join(shown) or listed or 'NOBODY NOTICED'}")
    except SlipwayError as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(error.exit_code) from None
    raise SystemExit(1 if unnoticed else 0)


if __name__ == "__main__":
    main()
