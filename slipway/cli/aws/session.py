"""The AWS side of a command: credentials as boto3 users expect, clients, the table, the clock.

Everything is made when it is first asked for: a command pays for what it uses. botocore's session
is used directly, because importing boto3 on top of it costs as much as a call.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from slipway.cli.aws.credentials import set_region
from slipway.cli.aws.locate import Located, locate
from slipway.cli.aws.sign_in import set_up_plainly, sign_in
from slipway.cli.user.ending import check_ended
from slipway.cli.user.login import login_name
from slipway.contracts.errors import WrongUse
from slipway.contracts.installation import Installation

if TYPE_CHECKING:
    from slipway.contracts.table import Table

T = TypeVar("T")

WORKERS = 8
CONNECT_TIMEOUT = 5
READ_TIMEOUT = 30
ATTEMPTS = 3


class Clock:
    """The time; tests put their own in its place."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def wait(self, seconds: float) -> None:
        """Let time pass between two looks at something that only AWS can tell."""
        time.sleep(seconds)
        check_ended()


class Session:
    """One command's view of one installation."""

    def __init__(
        self,
        *,
        installation: Path | None = None,
        profile: str | None = None,
        region: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._named = installation
        self._profile = profile
        self._region = region
        self.clock = clock or Clock()
        self._clients: dict[tuple[str, str], Any] = {}
        self._creating = Lock()  # botocore's session is not made for several threads

    @cached_property
    def located(self) -> Located:
        return locate(self._named)

    @cached_property
    def installation(self) -> Installation:
        """The settings; `--region` moves the installation's region, and its ARNs with it."""
        from dataclasses import replace

        found = self.located.installation
        return replace(found, region=self._region) if self._region else found

    @property
    def endpoint(self) -> str | None:
        """Where AWS is asked, if not in AWS: AWS_ENDPOINT_URL, or the local run's own address."""
        return os.environ.get("AWS_ENDPOINT_URL") or self.located.endpoint_url

    @cached_property
    def _botocore(self) -> Any:
        from botocore.session import Session as Botocore

        with set_up_plainly():
            session = Botocore(profile=self._profile)  # type: ignore[no-untyped-call]
            set_region(session, self.installation.region)
            if self.installation.mode == "local" and not (
                self._profile or os.environ.get("AWS_PROFILE")
            ):
                # the emulator's own convention: a 12-digit access key is the account
                session.set_credentials(self.installation.prod_account, "local")  # type: ignore[no-untyped-call]
            elif not sign_in(session):
                raise WrongUse("no AWS credentials: set AWS_PROFILE, give --profile, or log in")
        return session

    def client(self, service: str, *, region: str = "", credentials: Any = None) -> Any:
        """A client of the prod account, or of whatever account `credentials` (from STS) are of."""
        region = region or self.installation.region
        if credentials is not None:
            return self._create(service, region, credentials)
        key = (service, region)
        if key not in self._clients:
            self._clients[key] = self._create(service, region, None)
        return self._clients[key]

    def _create(self, service: str, region: str, credentials: Any) -> Any:
        from botocore.config import Config

        keys = (
            {
                "aws_access_key_id": credentials["AccessKeyId"],
                "aws_secret_access_key": credentials["SecretAccessKey"],
                "aws_session_token": credentials["SessionToken"],
            }
            if credentials
            else {}
        )
        config = Config(
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=WORKERS,
            user_agent_extra="slipway",
        )
        with self._creating, set_up_plainly():
            return self._botocore.create_client(
                service, region_name=region, endpoint_url=self.endpoint, config=config, **keys
            )

    @cached_property
    def table(self) -> Table:
        from slipway.contracts.table import Table

        return Table(self.client("dynamodb"), self.installation.names.table)

    def assumed(self, role_arn: str) -> Any:
        """Credentials of `role_arn`, for `client`; ClientError if it may not be assumed."""
        answer = self.client("sts").assume_role(
            RoleArn=role_arn, RoleSessionName="slipway-cli", DurationSeconds=900
        )
        return answer["Credentials"]

    @cached_property
    def caller(self) -> str:
        """Who calls: the ARN of the user or session; for an account's root, who is logged in."""
        arn = str(self.client("sts").get_caller_identity()["Arn"])
        return login_name() if arn.endswith(":root") else arn

    def queue_url(self, name: str) -> str:
        """The URL of a queue of this installation, known without asking for it."""
        base = self.client("sqs").meta.endpoint_url.rstrip("/")
        return f"{base}/{self.installation.prod_account}/{name}"

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(max_workers=WORKERS)

    def start(self, call: Any, *arguments: Any, **options: Any) -> Future[Any]:
        """Make a call beside others."""
        return self._pool.submit(call, *arguments, **options)
