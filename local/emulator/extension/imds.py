"""Gap closed: ministack's instance metadata is one made-up role for everybody.

`/imds/<instance-id>/latest/…` answers for that instance, while it runs, with credentials of its
instance profile's role, so that boto3 with AWS_EC2_METADATA_SERVICE_ENDPOINT set to
`<endpoint>/imds/<instance-id>` is `assumed-role/<role>/<instance-id>` and IAM is enforced on it.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass
from typing import Any

from ministack.services import iam, sts

from local.emulator.extension.ec2_states import DEFAULT_METADATA_OPTIONS, Located, find_instance
from local.emulator.extension.private import need

PREFIX = "/imds/"
SESSION_SECONDS = 6 * 3600
# The SDKs refresh this long before the end; new keys are minted from then on.
REFRESH_SECONDS = 15 * 60
MAX_TOKEN_SECONDS = 21600


@dataclass(frozen=True)
class Answer:
    """An HTTP answer of the metadata service."""

    status: int
    body: str = ""
    content_type: str = "text/plain"
    headers: tuple[tuple[str, str], ...] = ()


NOT_FOUND = Answer(404, "Not Found")


def role_of(located: Located) -> dict[str, Any] | None:
    """The role of an instance's profile, or None when it has none."""
    profile_arn = (located.instance.get("IamInstanceProfile") or {}).get("Arn", "")
    profile = iam._instance_profiles.get_scoped(
        located.account, None, profile_arn.rpartition("/")[2]
    )
    names = [_role_name(role) for role in (profile or {}).get("Roles", [])]
    if not names:
        return None
    role: dict[str, Any] | None = iam._roles.get_scoped(located.account, None, names[0])
    return role


def _role_name(role: Any) -> str:
    return str(role["RoleName"] if isinstance(role, dict) else role)


class InstanceMetadata:
    """The metadata services of all instances; tokens and credentials live in memory."""

    def __init__(self) -> None:
        self._tokens: dict[tuple[str, str], float] = {}
        self._credentials: dict[tuple[str, str], dict[str, Any]] = {}

    def answer(self, method: str, path: str, headers: dict[str, str]) -> Answer:
        """Answer one request; `path` begins with `/imds/<instance-id>/`."""
        instance_id, _, rest = path.removeprefix(PREFIX).partition("/")
        located = find_instance(instance_id)
        if located is None or located.instance["State"]["Name"] != "running":
            return NOT_FOUND
        leaf = rest.rstrip("/")
        if leaf == "latest/api/token":
            return self._token(method, instance_id, headers)
        if method != "GET":
            return Answer(405, "Method Not Allowed")
        if not self._token_is_good(located, headers):
            return Answer(401, "Unauthorized")
        return self._document(located, leaf)

    def _token(self, method: str, instance_id: str, headers: dict[str, str]) -> Answer:
        if method != "PUT":
            return Answer(405, "Method Not Allowed")
        wanted = headers.get("x-aws-ec2-metadata-token-ttl-seconds", "")
        if not wanted.isdigit() or not 1 <= int(wanted) <= MAX_TOKEN_SECONDS:
            return Answer(400, "Bad Request")
        token = secrets.token_urlsafe(40)
        self._tokens[(instance_id, token)] = time.time() + int(wanted)
        return Answer(200, token, headers=(("x-aws-ec2-metadata-token-ttl-seconds", wanted),))

    def _token_is_good(self, located: Located, headers: dict[str, str]) -> bool:
        token = headers.get("x-aws-ec2-metadata-token", "")
        if not token:
            options = located.instance.get("MetadataOptions") or DEFAULT_METADATA_OPTIONS
            return bool(options["HttpTokens"] != "required")
        expires = self._tokens.get((located.instance["InstanceId"], token), 0.0)
        return time.time() < expires

    def _document(self, located: Located, leaf: str) -> Answer:
        instance = located.instance
        role = role_of(located)
        texts = {
            "latest/meta-data/instance-id": instance["InstanceId"],
            "latest/meta-data/instance-type": instance["InstanceType"],
            "latest/meta-data/ami-id": instance["ImageId"],
            "latest/meta-data/local-ipv4": instance["PrivateIpAddress"],
            "latest/meta-data/placement/region": located.region,
            "latest/meta-data/placement/availability-zone": instance["Placement"][
                "AvailabilityZone"
            ],
        }
        if leaf in texts:
            return Answer(200, texts[leaf])
        if leaf == "latest/dynamic/instance-identity/document":
            return _json(_identity(located))
        credentials_path = "latest/meta-data/iam/security-credentials"
        if role is not None and leaf == credentials_path:
            return Answer(200, role["RoleName"])
        if role is not None and leaf == f"{credentials_path}/{role['RoleName']}":
            return _json(self._role_credentials(located, role))
        return NOT_FOUND

    def _role_credentials(self, located: Located, role: dict[str, Any]) -> dict[str, Any]:
        instance_id = located.instance["InstanceId"]
        key = (instance_id, located.instance["LaunchTime"])
        known = self._credentials.get(key)
        if known is None or known["expires"] - REFRESH_SECONDS < time.time():
            known = mint_session(located.account, role, instance_id, SESSION_SECONDS)
            self._credentials[key] = known
        return {
            "Code": "Success",
            "LastUpdated": _utc(known["issued"]),
            "Type": "AWS-HMAC",
            "AccessKeyId": known["access_key"],
            "SecretAccessKey": known["secret_key"],
            "Token": known["token"],
            "Expiration": _utc(known["expires"]),
        }


def mint_session(
    account: str, role: dict[str, Any], session_name: str, seconds: int
) -> dict[str, Any]:
    """Credentials of `assumed-role/<role>/<session_name>`, known to STS as if it had made them."""
    now = time.time()
    minted = {
        "access_key": iam._gen_session_access_key(),
        "secret_key": iam._gen_secret(),
        "token": iam._gen_session_token(),
        "issued": now,
        "expires": now + seconds,
    }
    sts.register_session(
        minted["access_key"],
        {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{role['RoleName']}/{session_name}",
            "UserId": f"{role['RoleId']}:{session_name}",
            "SecretAccessKey": minted["secret_key"],
            "SessionToken": minted["token"],
            "Expiration": minted["expires"],
            "AccountId": account,
            "PrincipalType": "AssumedRole",
            "SourcePrincipalArn": role["Arn"],
        },
    )
    return minted


def _identity(located: Located) -> dict[str, Any]:
    instance = located.instance
    return {
        "accountId": located.account,
        "architecture": instance["Architecture"],
        "availabilityZone": instance["Placement"]["AvailabilityZone"],
        "imageId": instance["ImageId"],
        "instanceId": instance["InstanceId"],
        "instanceType": instance["InstanceType"],
        # AWS: pendingTime is when the instance was last launched, so it names the boot.
        "pendingTime": instance["LaunchTime"].replace(".000Z", "Z"),
        "privateIp": instance["PrivateIpAddress"],
        "region": located.region,
        "version": "2017-09-30",
    }


def _json(document: dict[str, Any]) -> Answer:
    return Answer(200, json.dumps(document), "application/json")


def _utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def install() -> InstanceMetadata:
    """Check what is needed of ministack and give the metadata service."""
    for name in (
        "_instance_profiles",
        "_roles",
        "_gen_session_access_key",
        "_gen_secret",
        "_gen_session_token",
    ):
        need(iam, name)
    need(sts, "register_session")
    return InstanceMetadata()
