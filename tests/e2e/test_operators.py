"""`slipway` under the policies that the stack makes for who runs it, IAM enforced."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local.accounts import client_of
from local.configuration import OPERATOR
from local.workplace import REPOSITORY
from slipway.contracts.messages import TIP, BuildRequest, CloseNotice
from tests.e2e.chain import Chain
from tests.e2e.permissions import allowed_actions, as_document, questions, role_of
from tests.places import EVENTS

SLIPWAY = Path(sys.executable).parent / "slipway"
READER, WEBHOOK_HOLDER = "reader", "webhook-holder"
NOT_ASKED = {"iam:SimulatePrincipalPolicy"}
"""The emulator simulates no policy with conditions, so `doctor` skips it there."""


@dataclass(frozen=True)
class Person:
    """Somebody with a role of the prod account and the installation's settings."""

    chain: Chain
    role: str
    credentials: Path

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "SLIPWAY_"))}
        return subprocess.run(
            [str(SLIPWAY), *arguments],
            cwd=REPOSITORY,
            env={
                **kept,
                "AWS_PROFILE": self.role,
                "AWS_SHARED_CREDENTIALS_FILE": str(self.credentials),
                "SLIPWAY_INSTALLATION": str(self.chain.workplace.installation_file),
            },
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def does(self, *arguments: str, stdin: str = "") -> str:
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout

    def is_refused(self, operation: str, *arguments: str, stdin: str = "") -> None:
        """In words, with the exit code of wrong use."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 2, (arguments, done.stdout, done.stderr)
        assert done.stderr.startswith(f"slipway: not allowed to {operation}: "), done.stderr
        assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def people(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Person]]:
    names, iam = chain.names, chain.prod("iam")
    attached = {
        READER: [names.read_policy],
        OPERATOR: [names.read_policy, names.operate_policy],
        WEBHOOK_HOLDER: [names.webhook_policy],
    }
    file = tmp_path_factory.mktemp("people") / "credentials"
    for role, policies in attached.items():
        _make_role(chain, role, [_arn(chain, name) for name in policies])
        _write_profile(chain, role, file)
    yield {role: Person(chain, role, file) for role in attached}
    for role, policies in attached.items():
        for name in policies:
            iam.detach_role_policy(RoleName=role, PolicyArn=_arn(chain, name))
        iam.delete_role(RoleName=role)


def test_who_looks_sees_everything_and_changes_nothing(
    chain: Chain, people: dict[str, Person]
) -> None:
    reader = people[READER]
    deployment = chain.deployments()[0].deployment_id
    # WHEN somebody with `-read` alone looks
    assert "sample" in reader.does("status")
    assert deployment in reader.does("history", "sample")
    assert reader.does("logs", deployment)
    reader.does("report", "sample")
    # THEN whatever would change something is refused
    reader.is_refused("Publish", "redeploy", "sample", "--no-wait")
    reader.is_refused("UpdateItem", "pause", "sample")
    assert "nothing waits" in reader.run("cancel", "sample").stderr
    reader.is_refused("UpdateItem", "hold")
    reader.is_refused("ReceiveMessage", "redrive", "--dry-run")
    reader.is_refused("PutParameter", "webhook", "set", stdin=f"{chain.state.slack_url}/\n")


def test_who_operates_does_what_there_is_to_do(chain: Chain, people: dict[str, Person]) -> None:
    operator = people[OPERATOR]
    # GIVEN dead letters of each kind
    dead = {
        chain.names.build_dead_letters: _request().to_json(),
        chain.names.failures: _failure(chain, "reconciler"),
        chain.names.undelivered: _last_notice(chain),
    }
    for queue, body in dead.items():
        _send(chain, queue, body)
    # WHEN an operator runs every verb
    operator.does("pause", "sample")
    operator.does("redeploy", "sample", "--rebuild", "--no-wait")
    chain.until("its want", chain.table.wants.all)
    assert "was cancelled" in operator.does("cancel", "sample")
    operator.does("resume", "sample")
    operator.does("hold")
    operator.does("release")
    for queue in dead:
        operator.does("redrive", "--queue", queue, "--dry-run")
        operator.does("redrive", "--queue", queue)
    operator.does("redeploy", "sample")
    (runs, *_) = [row for row in chain.deployments() if row.status == "succeeded"]
    operator.does("rollback", "--to", runs.deployment_id)
    # (doctor ends with 1 where other tests have left something to mend)
    found = json.loads(operator.run("doctor", "--json").stdout)["findings"]
    # THEN each did it; doctor was not refused anything and may ask for tips
    assert all(chain.depth(queue) == 0 for queue in dead)
    assert not [f for f in found if "not allowed" in f["detail"]], found
    assert [f for f in found if f["check"] == "tip role" and f["verdict"] == "ok"]
    # BUT the webhook is not theirs to set
    operator.is_refused("PutParameter", "webhook", "set", stdin=f"{chain.state.slack_url}/\n")
    chain.until_asleep()


def test_who_holds_the_webhook_sets_it_and_sees_nothing(
    chain: Chain, people: dict[str, Person]
) -> None:
    holder = people[WEBHOOK_HOLDER]
    holder.does("webhook", "set", stdin=f"{chain.state.slack_url}/\n")
    holder.is_refused("Query", "history", "sample")


def test_the_policies_hold_what_was_asked_for_and_nothing_else(
    chain: Chain, people: dict[str, Person]
) -> None:
    """Looks back at the tests above."""
    iam, names = chain.prod("iam"), chain.names
    granted: set[str] = set()
    for name in (names.read_policy, names.operate_policy, names.webhook_policy):
        policy = iam.get_policy(PolicyArn=_arn(chain, name))["Policy"]
        version = iam.get_policy_version(
            PolicyArn=policy["Arn"], VersionId=policy["DefaultVersionId"]
        )
        granted |= allowed_actions(as_document(version["PolicyVersion"]["Document"]))
    asked = {
        q["action"]
        for q in questions(chain.state)
        if q["allowed"] and role_of(q["principal"]) in people
    }
    assert granted - asked == NOT_ASKED


def _arn(chain: Chain, policy: str) -> str:
    return f"arn:aws:iam::{chain.state.prod_account}:policy/{policy}"


def _make_role(chain: Chain, role: str, policies: list[str]) -> None:
    iam, account = chain.prod("iam"), chain.state.prod_account
    trust = {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam.create_role(RoleName=role, AssumeRolePolicyDocument=document)
    for arn in policies:
        iam.attach_role_policy(RoleName=role, PolicyArn=arn)


def _write_profile(chain: Chain, role: str, file: Path) -> None:
    arn = f"arn:aws:iam::{chain.state.prod_account}:role/{role}"
    session = chain.prod("sts").assume_role(RoleArn=arn, RoleSessionName="ada")["Credentials"]
    with file.open("a", encoding="utf-8") as credentials:
        credentials.write(
            f"[{role}]\naws_access_key_id = {session['AccessKeyId']}\n"
            f"aws_secret_access_key = {session['SecretAccessKey']}\n"
            f"aws_session_token = {session['SessionToken']}\n"
        )


def _request() -> BuildRequest:
    return BuildRequest(
        request_id=uuid.uuid4().hex,
        pipeline="sample",
        target=TIP,
        pushed_by="a test",
        pushed_at=time.time(),
        reason="push",
    )


def _event() -> Any:
    return json.loads((EVENTS / "schedule.json").read_text(encoding="utf-8"))


def _failure(chain: Chain, function: str) -> str:
    """The record of what a function gave up on."""
    arn = f"arn:aws:lambda:{chain.state.region}:{chain.state.prod_account}:function:"
    context = {"functionArn": f"{arn}{chain.names.function(function)}:$LATEST"}
    return json.dumps({"requestContext": context, "requestPayload": _event()})


def _last_notice(chain: Chain) -> str:
    """The newest deployment's, as it was published: the notifier knows that it was posted."""
    (result, *_) = [row.result for row in chain.deployments() if row.result is not None]
    return CloseNotice(kind="deployment", notice_id=result.deployment_id, result=result).to_json()


def _send(chain: Chain, queue: str, body: str) -> None:
    sqs = client_of("sqs", chain.state.endpoint_url, chain.state.prod_account, chain.state.region)
    sqs.send_message(QueueUrl=sqs.get_queue_url(QueueName=queue)["QueueUrl"], MessageBody=body)
