"""A botocore session from ecs-deploy's options: keys, profile, region, instance role, assumed role.

botocore's session is used directly: importing boto3 on top of it costs as much as a call. Keys are
given to botocore and to nobody else; nothing here prints.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from slipway.cli.aws.sign_in import Given, check_sendable, set_up_plainly, sign_in
from slipway.contracts.errors import WrongUse

CONNECT_TIMEOUT, READ_TIMEOUT = 5, 30
ROLE_SESSION = "slipway-deploy"


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """Who calls, and where. What is None is found as botocore finds it.

    `endpoint`: where AWS is asked, if not in AWS (a local run).
    """

    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    region: str | None = None
    profile: str | None = None
    instance_profile: bool = False
    role: str | None = None
    endpoint: str | None = None

    @property
    def are_given(self) -> bool:
        """Somebody said who calls."""
        keys = self.access_key or self.secret_key
        return bool(keys or self.profile or self.instance_profile or self.role)

    def check(self) -> None:
        """WrongUse for options that do not go together."""
        if (self.access_key is None) != (self.secret_key is None):
            raise WrongUse("-k/--aws-access-key and -s/--aws-secret-key are given together")
        if self.instance_profile and (self.access_key or self.profile):
            raise WrongUse("--aws-instance-profile takes neither keys nor a profile")


class Clients:
    """Makes clients, each when it is first asked for.

    Calls are tried once: the rollout waits out throttling and the network, by its own limits.
    """

    def __init__(self, credentials: Credentials, *, on_call: Any = None) -> None:
        credentials.check()
        self._credentials = credentials
        self._on_call = on_call
        self._made: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """The client of `service`; WrongUse where region or credentials are missing."""
        if service not in self._made:
            from botocore.config import Config

            config = Config(
                connect_timeout=CONNECT_TIMEOUT,
                read_timeout=READ_TIMEOUT,
                retries={"mode": "standard", "total_max_attempts": 1},
                user_agent_extra="slipway",
            )
            with set_up_plainly():
                self._made[service] = self._session.create_client(
                    service,
                    region_name=self._region,
                    endpoint_url=self._credentials.endpoint,
                    config=config,
                )
            if self._on_call is not None:
                self._made[service].meta.events.register("before-call", self._on_call)
        return self._made[service]

    @cached_property
    def _region(self) -> str:
        region = self._credentials.region or region_of(self._bare)
        if not region:
            raise WrongUse("no region: give -r/--region, or set AWS_REGION")
        return region

    @cached_property
    def _bare(self) -> Any:
        """The session before anybody has signed in."""
        from botocore.session import Session

        with set_up_plainly():
            return Session(profile=self._credentials.profile)  # type: ignore[no-untyped-call]

    @cached_property
    def _session(self) -> Any:
        wanted, session = self._credentials, self._bare
        with set_up_plainly():
            set_region(session, wanted.region or region_of(session))
            if keys := _keys(wanted):
                check_sendable(Keys(*keys))
                session.set_credentials(*keys)
            elif wanted.instance_profile:
                _only(session, session.get_component("credential_provider"))
            if not keys and not sign_in(session):
                whom = f" to assume {wanted.role} with" if wanted.role else ""
                raise WrongUse(
                    f"no credentials{whom}: give -p/--profile or -k and -s, set AWS_ACCESS_KEY_ID,"
                    " or log in (`aws configure`)"
                )
            return _assumed(session, wanted.role) if wanted.role else session


def region_of(session: Any) -> str | None:
    """The region where none is given: as the AWS CLI (version 2) and the SDKs find it.

    AWS_REGION, AWS_DEFAULT_REGION, the profile's. (AWS SDKs and Tools Reference Guide, 'AWS
    Region'. botocore itself leaves the first one out, as version 1 of the AWS CLI does.)
    """
    return os.environ.get("AWS_REGION") or session.get_config_variable("region") or None


def set_region(session: Any, region: str | None) -> None:
    """Let also those calls go to `region` that botocore makes for credentials (STS, SSO)."""
    if region:
        session.set_config_variable("region", region)


@dataclass(frozen=True)
class Keys:
    """Keys as they were given."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


def _keys(wanted: Credentials) -> tuple[str, str, str | None] | None:
    """Keys from the options or the environment, with their token; None: botocore is to find them.

    The environment's come first with botocore too (unless a profile is named); to hand them over
    saves building its chain of providers, a tenth of the command's time.
    """
    environment = os.environ
    access, secret = environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY")
    token = environment.get("AWS_SESSION_TOKEN") or environment.get("AWS_SECURITY_TOKEN") or None
    if wanted.access_key and wanted.secret_key:
        is_of_these = access in (None, "", wanted.access_key)
        return wanted.access_key, wanted.secret_key, token if is_of_these else None
    elsewhere = wanted.profile or wanted.instance_profile
    if elsewhere or not access or not secret or "AWS_CREDENTIAL_EXPIRATION" in environment:
        return None
    return access, secret, token


def _only(session: Any, resolver: Any) -> None:
    """Let `session` use the role of the instance it runs on, and nothing else."""
    from botocore.credentials import CredentialResolver

    provider = resolver.get_provider("iam-role")
    session.register_component("credential_provider", CredentialResolver([provider]))


def _assumed(session: Any, role: str) -> Any:
    """A session that is `role`, renewed when its hour is over."""
    from botocore.credentials import (
        AssumeRoleCredentialFetcher,
        CredentialResolver,
        DeferredRefreshableCredentials,
    )
    from botocore.session import Session

    region = session.get_config_variable("region")
    fetcher = AssumeRoleCredentialFetcher(
        lambda service, **options: session.create_client(
            service, **{"region_name": region, **options}
        ),
        session.get_credentials(),
        role,
        extra_args={"RoleSessionName": ROLE_SESSION},
    )
    held = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
    assumed = Session(profile=session.get_config_variable("profile"))  # type: ignore[no-untyped-call]
    set_region(assumed, region)
    assumed.register_component("credential_provider", CredentialResolver([Given(held)]))
    sign_in(assumed)
    return assumed
