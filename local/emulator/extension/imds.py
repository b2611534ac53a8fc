"""Gap closed: ministack's instance metadata is one made-up role for everybody.

`/imds/<instance-id>/latest/…` answers for that instance, while it runs, with credentials of its
instance profile's role, so that boto3 with AWS_EC2_METADATA_SERVICE_ENDPOINT set to
`<endpoint>/imds/<instance-id>` is `assumed-role/<role>/<instance-id>` and IAM is enforced on it.
Older versions than `latest`, lists of what a folder holds, and the user data are there as well:
cloud-init asks for them.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ministack.services import iam, sts

from local.emulator.extension.ec2_states import DEFAULT_METADATA_OPTIONS, Located, find_instance
from local.emulator.extension.private import need
from local.emulator.extension.user_data import user_data_of

PREFIX = "/imds/"
SESSION_SECONDS = 6 * 3600
# The SDKs refresh this long before the end; new keys are minted from then on.
REFRESH_SECONDS = 15 * 60
MAX_TOKEN_SECONDS = 21600


@dataclass(frozen=True)
class Answer:
    """An HTTP answer of the metadata service."""

    status: int
    body: str | bytes = ""
    content_type: str = "text/plain"
    headers: tuple[tuple[str, str], ...] = ()


NOT_FOUND = Answer(404, "Not Found")
VERSIONS = ("1.0", "2009-04-04", "2016-09-02", "2018-09-24", "2021-03-23")
"""Of the service's versions, the oldest, and those that cloud-init asks for."""
CREDENTIALS = "meta-data/iam/security-credentials/"


def documents(located: Located, role: dict[str, Any] | None) -> dict[str, str | bytes]:
    """Every document below a version, by its path; those that are made anew each time are empty."""
    instance = located.instance
    mac = _mac(instance)
    interface = f"meta-data/network/interfaces/macs/{mac}"
    found: dict[str, str | bytes] = {
        "dynamic/instance-identity/document": "",
        "meta-data/ami-id": instance["ImageId"],
        "meta-data/ami-launch-index": str(instance.get("AmiLaunchIndex", 0)),
        "meta-data/hostname": instance["PrivateDnsName"],
        "meta-data/instance-id": instance["InstanceId"],
        "meta-data/instance-type": instance["InstanceType"],
        "meta-data/local-hostname": instance["PrivateDnsName"],
        "meta-data/local-ipv4": instance["PrivateIpAddress"],
        "meta-data/mac": mac,
        f"{interface}/device-number": "0",
        f"{interface}/local-ipv4s": instance["PrivateIpAddress"],
        f"{interface}/mac": mac,
        f"{interface}/subnet-id": instance.get("SubnetId") or "",
        f"{interface}/vpc-id": instance.get("VpcId") or "",
        "meta-data/placement/availability-zone": instance["Placement"]["AvailabilityZone"],
        "meta-data/placement/region": located.region,
        "meta-data/services/domain": "amazonaws.com",
        "meta-data/services/partition": "aws",
    }
    if role is not None:
        found[f"{CREDENTIALS}{role['RoleName']}"] = ""
    user_data = user_data_of(instance)
    if user_data is not None:
        found["user-data"] = user_data
    return found


def listed(found: Mapping[str, str | bytes], path: str) -> Answer:
    """A document, or the names in a folder: those of folders end with a slash, as in EC2."""
    if path in found:
        return Answer(200, found[path])
    folder = f"{path}/" if path else ""
    below = [name.removeprefix(folder) for name in found if name.startswith(folder)]
    names = {first + slash for first, slash, _ in (name.partition("/") for name in below)}
    return _text("\n".join(sorted(names))) if names else NOT_FOUND


def _mac(instance: dict[str, Any]) -> str:
    """Made from the private address, as unique as that."""
    parts = [int(part) for part in instance["PrivateIpAddress"].split(".")]
    return ":".join(f"{part:02x}" for part in (0x02, 0x00, *parts))


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
        version, _, path = leaf.partition("/")
        if version == "":
            return _text("\n".join((*VERSIONS, "latest")))
        if version not in (*VERSIONS, "latest"):
            return NOT_FOUND
        role = role_of(located)
        if role is not None and path == f"{CREDENTIALS}{role['RoleName']}":
            return _json(self._role_credentials(located, role))
        if path == "dynamic/instance-identity/document":
            return _json(_identity(located))
        return listed(documents(located, role), path)

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
            **credentials_document(known),
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


def credentials_document(session: dict[str, Any]) -> dict[str, str]:
    """A session as the services of instances and of containers tell it."""
    return {
        "AccessKeyId": session["access_key"],
        "SecretAccessKey": session["secret_key"],
        "Token": session["token"],
        "Expiration": _utc(session["expires"]),
    }


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


def _text(text: str) -> Answer:
    return Answer(200, text)


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
