"""What `slipway doctor` looks at once: account, topics, queues, Lambdas, webhook, hosts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from slipway.cli.aws.dead_letters import ways_back
from slipway.cli.aws.hosts import Host, describe, hosts_of, why
from slipway.cli.aws.session import Session
from slipway.cli.aws.waiting import Work, work_of
from slipway.cli.doctor.findings import Check, Finding, ok, skipped, wrong
from slipway.contracts.requesting import BUILD_QUEUE_TAKES, FOLLOW_QUEUE_TAKES
from slipway.contracts.wording import counted, duration, person

DEPLOY = "deploy the prod stack (docs/operating.md)"
LOOK_AT_HOST = (
    "`systemctl status slipway-boot slipway-agent`, `tail /var/log/slipway/boot.log"
    " /var/log/slipway/agent.log`"
)


def installation_checks(session: Session) -> list[Check]:
    """The checks of what the pipelines share, in the order in which a push meets it."""
    names = session.installation.names

    def check(part: str, name: str, look: Any, mend: str = DEPLOY) -> Check:
        return Check(part=part, name=name, look=lambda: look(session), mend=mend)

    return [
        check("account", "credentials", _account),
        check("account", "table", _table),
        check("request topic", "policy", _request_policy),
        check("request topic", "subscriptions", _request_subscriptions),
        check("close topic", "subscriptions", _close_subscriptions),
        check("queues", names.build_queue, _build_queue),
        check("queues", names.follow_queue, _follow_queue),
        check("queues", "dead letters", _dead_letters),
        *(
            Check(
                part="Lambdas",
                name=function,
                look=lambda function=function: _function(session, function),  # type: ignore[misc]
                mend=DEPLOY,
            )
            for function in session.installation.functions
        ),
        check("Slack", "webhook", _webhooks, "`slipway webhook set` stores it"),
        *([check("hosts", "build hosts", _hosts)] if session.installation.host_count else []),
    ]


def _account(session: Session) -> Iterator[Finding]:
    account = session.client("sts").get_caller_identity()["Account"]
    wanted = session.installation.prod_account
    if account == wanted:
        yield ok("credentials", f"of the prod account {account}, as {person(session.caller)}")
    else:
        yield wrong(
            "credentials",
            f"of account {account}; the installation is in {wanted}",
            "give the prod account's --profile",
        )


def _table(session: Session) -> Iterator[Finding]:
    rows = session.table.pipelines.all()
    yield ok("table", f"{session.table.store.table}, {counted(len(rows), 'pipeline')} seen so far")


# --- topics


def _request_policy(session: Session) -> Iterator[Finding]:
    settings = session.installation
    arn = settings.request_topic_arn
    answer = session.client("sns").get_topic_attributes(TopicArn=arn)
    policy = json.loads(answer["Attributes"].get("Policy") or "{}")
    role = (
        f"arn:{settings.partition}:iam::{settings.dev_account}:role/{settings.names.trigger_role}"
    )
    if lets(policy, "sns:Publish", role):
        yield ok("policy", f"{role} may publish")
    else:
        yield wrong("policy", f"{role} may not publish: no push would arrive", DEPLOY)


def lets(policy: dict[str, Any], action: str, role_arn: str) -> bool:
    """Whether a resource policy lets a role of another account do `action`.

    The role is named itself, or its account is with a condition on `aws:PrincipalArn`. Deny
    statements and other conditions are not judged.
    """
    return any(
        statement.get("Effect") == "Allow"
        and _matches(_listed(statement.get("Action")), action)
        and _lets_principal(statement, role_arn)
        for statement in _listed(policy.get("Statement"))
    )


def _lets_principal(statement: dict[str, Any], role_arn: str) -> bool:
    principal = statement.get("Principal")
    named = _listed(principal.get("AWS")) if isinstance(principal, dict) else _listed(principal)
    if role_arn in named:
        return True
    account = role_arn.split(":")[4]
    whole = any(text == account or text.endswith(f":{account}:root") for text in named)
    conditions = [
        value
        for members in statement.get("Condition", {}).values()
        for key, value in members.items()
        if key.lower() == "aws:principalarn"
    ]
    return whole and (
        not conditions or all(_matches(_listed(value), role_arn) for value in conditions)
    )


def _matches(patterns: Iterable[str], text: str) -> bool:
    from fnmatch import fnmatchcase

    return any(fnmatchcase(text.lower(), pattern.lower()) for pattern in patterns)


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _request_subscriptions(session: Session) -> Iterator[Finding]:
    names = session.installation.names
    wanted = {
        names.build_queue: Wanted("sqs", BUILD_QUEUE_TAKES),
        names.follow_queue: Wanted("sqs", FOLLOW_QUEUE_TAKES),
        names.function("starter"): Wanted("lambda", {}),
    }
    return _subscriptions(session, session.installation.request_topic_arn, wanted)


def _close_subscriptions(session: Session) -> Iterator[Finding]:
    names = session.installation.names
    wanted = {names.notices_queue: Wanted("sqs")}
    if "stopper" in session.installation.functions:
        wanted[names.function("stopper")] = Wanted("lambda")
    return _subscriptions(session, session.installation.close_topic_arn, wanted)


@dataclass(frozen=True)
class Wanted:
    """A subscription that has to be there; `takes`: its filter policy, None: not looked at."""

    protocol: str
    takes: dict[str, Any] | None = None


def _subscriptions(session: Session, topic: str, wanted: dict[str, Wanted]) -> Iterator[Finding]:
    found = _all_subscriptions(session, topic)
    for name, want in wanted.items():
        there = [
            s["SubscriptionArn"]
            for s in found
            if s["Protocol"] == want.protocol and s["Endpoint"].rpartition(":")[2] == name
        ]
        if not there:
            yield wrong("subscriptions", f"{name} does not hear it", DEPLOY)
        elif want.takes in (None, (takes := _filter_of(session, there[0]))):
            yield ok("subscriptions", f"{name} hears it")
        else:
            said = f"{name} hears what has {json.dumps(takes)}, not {json.dumps(want.takes)}"
            yield wrong("subscriptions", said, DEPLOY)
    for subscription in found:
        if subscription["Protocol"] != "email":
            continue
        address = subscription["Endpoint"]
        if subscription["SubscriptionArn"].startswith("arn:"):
            yield ok("subscriptions", f"{address} is confirmed")
        else:
            yield wrong(
                "subscriptions",
                f"{address} is not confirmed",
                "open the link in AWS's e-mail to it, or deploy again for another e-mail",
            )


def _filter_of(session: Session, subscription: str) -> dict[str, Any]:
    """A subscription's filter policy; empty: it takes everything."""
    answer = session.client("sns").get_subscription_attributes(SubscriptionArn=subscription)
    policy: dict[str, Any] = json.loads(answer["Attributes"].get("FilterPolicy") or "{}")
    return policy


def _all_subscriptions(session: Session, topic: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    token: dict[str, str] = {}
    while True:
        answer = session.client("sns").list_subscriptions_by_topic(TopicArn=topic, **token)
        found += answer["Subscriptions"]
        if not answer.get("NextToken"):
            return found
        token = {"NextToken": answer["NextToken"]}


# --- queues


def _build_queue(session: Session) -> Iterator[Finding]:
    names = session.installation.names
    return _work_queue(session, names.build_queue, names.build_dead_letters)


def _follow_queue(session: Session) -> Iterator[Finding]:
    names = session.installation.names
    return _work_queue(session, names.follow_queue, names.follow_dead_letters)


def _work_queue(session: Session, queue: str, dead_letters: str) -> Iterator[Finding]:
    """A queue that requests come to."""
    attributes = _attributes(session, queue)
    if session.installation.request_topic_arn in attributes.get("Policy", ""):
        yield ok(queue, "takes what the request topic sends")
    else:
        yield wrong(queue, "its policy does not name the request topic", DEPLOY)
    if dead_letters in attributes.get("RedrivePolicy", ""):
        yield ok(queue, f"what it gives up on goes to {dead_letters}")
    else:
        yield wrong(queue, "has no dead-letter queue", DEPLOY)


def _dead_letters(session: Session) -> Iterator[Finding]:
    from botocore.exceptions import ClientError

    from slipway.cli.aws.errors import MISSING

    counted_queues, full = 0, False
    for name in ways_back(session.installation.names):
        try:
            attributes = _attributes(session, name)
        except ClientError as error:
            if error.response["Error"]["Code"] not in MISSING:
                raise
            yield wrong("dead letters", f"{name} does not exist", DEPLOY)
            continue
        counted_queues += 1
        letters = int(attributes.get("ApproximateNumberOfMessages", "0"))
        if letters:
            full = True
            mend = f"`slipway redrive --queue {name} --dry-run` shows them"
            yield wrong("dead letters", f"{name} holds {counted(letters, 'message')}", mend)
    if not full:
        yield ok("dead letters", f"none in {counted(counted_queues, 'queue')}")


def _attributes(session: Session, queue: str) -> dict[str, str]:
    answer = session.client("sqs").get_queue_attributes(
        QueueUrl=session.queue_url(queue), AttributeNames=["All"]
    )
    attributes: dict[str, str] = answer["Attributes"]
    return attributes


# --- Lambdas, webhook, hosts


def _function(session: Session, function: str) -> Iterator[Finding]:
    name = session.installation.names.function(function)
    answer = session.client("lambda").get_function_configuration(FunctionName=name)
    state, update = answer.get("State", "Active"), answer.get("LastUpdateStatus", "Successful")
    if state in ("Active", "Inactive") and update != "Failed":
        yield ok(function, f"{name} is {state.lower()}")
        return
    reason = answer.get("StateReason") or answer.get("LastUpdateStatusReason") or update
    yield wrong(function, f"{name} is {state.lower()}: {reason}", DEPLOY)


def _webhooks(session: Session) -> Iterator[Finding]:
    settings = session.installation
    if not settings.slack:
        yield skipped("webhook", "notices do not go to Slack in this installation")
        return
    own = {p.webhook_parameter for p in settings.pipelines if p.webhook_parameter}
    for name in sorted(own or {settings.names.webhook_parameter()}):
        # What it is, without what it holds: who may check need not be able to post.
        answer = session.client("ssm").describe_parameters(
            ParameterFilters=[{"Key": "Name", "Option": "Equals", "Values": [name]}]
        )
        if not answer["Parameters"]:
            yield wrong("webhook", f"{name} is not set", "`slipway webhook set` stores it")
        elif answer["Parameters"][0]["Type"] != "SecureString":
            mend = "`slipway webhook set` stores it encrypted; change the webhook in Slack too"
            yield wrong("webhook", f"{name} is not encrypted", mend)
        else:
            yield ok("webhook", f"{name} is set")


def _hosts(session: Session) -> Iterator[Finding]:
    settings, now = session.installation, session.clock.now()
    hosts = hosts_of(describe(session.client("ec2"), settings), session.table.hosts.all())
    names = {host.name for host in hosts}
    for number in range(1, settings.host_count + 1):
        if settings.names.host(number) not in names:
            yield wrong(settings.names.host(number), "does not exist", DEPLOY)
    table = session.table
    there = work_of(
        table.wants.all(),
        table.pipelines.all(),
        locks=table.locks.all(),
        hosts=hosts,
        installation=settings,
        now=now,
    )
    waiting = there.waiting
    for host in hosts:
        yield _host(host, there, session, now)
    held = [host for host in hosts if host.row is not None and host.row.held]
    if waiting and held and len(held) == len(hosts):
        yield wrong(
            "hosts",
            f"work waits for {', '.join(waiting)}, and every host is held",
            f"`slipway release {held[0].name}` gives one back",
        )


def _host(host: Host, there: Work, session: Session, now: float) -> Finding:
    limits = session.installation.limits
    row = host.row
    detail = f"{host.host_id} {host.state}: {why(host, there, limits, now)}{_slots(host)}"
    if row is not None and row.held:
        return ok(host.name, detail)
    silent = now - max(row.heartbeat_at if row else 0.0, host.launched_at)
    if host.state == "running" and silent > limits.no_heartbeat:
        mend = f"look at it with Session Manager: {LOOK_AT_HOST}"
        return wrong(host.name, f"{detail} ({duration(silent)})", mend)
    if row is not None and row.silent_boots >= 3:
        mend = f"start it by hand and look with Session Manager: {LOOK_AT_HOST}"
        return wrong(host.name, detail, mend)
    wanted = session.installation.builds
    if wanted and row is not None and host.state == "running" and host.heard and row.slots < wanted:
        return wrong(
            host.name,
            f"{detail}, but buildHost.builds is {wanted}",
            "its agent reads that when it starts: let the host sleep, its next start brings it",
        )
    return ok(host.name, detail)


def _slots(host: Host) -> str:
    """` (2 build slots, t4g.medium)`; a host that was never awake has told of none."""
    if host.row is None or not host.row.arrived_at:
        return ""
    kind = f", {host.instance_type}" if host.instance_type else ""
    return f" ({counted(host.row.slots, 'build slot')}{kind})"
