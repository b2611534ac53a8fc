"""The values of a configuration that are texts, and which texts each may be."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

from slipway.contracts.messages import PIPELINE_NAME


@dataclass(frozen=True)
class _Checked:
    """A text that `check` accepts; `allowed` says in words which, in errors and in the docs."""

    check: Callable[[str], bool]
    allowed: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self._value, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "allowed": self.allowed}

    def _value(self, value: str) -> str:
        if not self.check(value):
            raise ValueError(f"must be {self.allowed}")
        return value


def _pattern(pattern: str, allowed: str) -> _Checked:
    """A text that matches `pattern` as a whole."""
    compiled = re.compile(pattern)
    return _Checked(lambda value: compiled.fullmatch(value) is not None, allowed)


def _is_inside_repository(value: str) -> bool:
    relative = value != "" and not value.startswith(("/", "-"))
    return relative and value.isprintable() and ".." not in value.split("/")


def _is_branch(value: str) -> bool:
    return bool(
        re.fullmatch(r"[A-Za-z0-9._/-]{1,200}", value)
        and not value.startswith("-")
        and not value.endswith(".")
        and ".." not in value
        and all(part and part[0] != "." and part[-5:] != ".lock" for part in value.split("/"))
    )


ECR_NAME = r"[a-z0-9]+([._-][a-z0-9]+)*(/[a-z0-9]+([._-][a-z0-9]+)*)*"
ECR_HOST = r"[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com"


def is_uri(repository: str) -> bool:
    """Whether an `EcrRepository` is a whole URI, not a name alone."""
    return re.match(rf"{ECR_HOST}/", repository) is not None


Account = Annotated[str, _pattern(r"[0-9]{12}", "an account number of 12 digits")]
Region = Annotated[
    str, _pattern(r"[a-z]{2}(-[a-z]+)+-[0-9]", "a region's name such as eu-central-1")
]
InstallationName = Annotated[
    str,
    _pattern(r"[a-z][a-z0-9-]{0,23}", "1 to 24 lower-case letters, digits and '-', a letter first"),
]
PipelineName = Annotated[
    str,
    _pattern(PIPELINE_NAME, "1 to 40 lower-case letters, digits and '-', a letter first"),
]
CodeRepositoryName = Annotated[
    str,
    _pattern(
        r"(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,100}(?<!\.git)",
        "1 to 100 letters, digits, '.', '_' and '-', not '.', '..' or with '.git' at the end",
    ),
]
Branch = Annotated[
    str, _Checked(_is_branch, "a branch name of letters, digits, '.', '_', '-' and '/'")
]
RelativePath = Annotated[
    str, _Checked(_is_inside_repository, "a relative path inside the repository, without '..'")
]
EcrName = Annotated[
    str,
    _pattern(
        rf"(?=.{{2,256}}\Z){ECR_NAME}",
        "an ECR repository name: lower-case letters, digits, single '.', '_', '-' and '/'",
    ),
]
EcrRepository = Annotated[
    str,
    _pattern(
        rf"({ECR_HOST}/)?{ECR_NAME}",
        "an ECR repository's URI without a tag, or the name of one of the prod account's",
    ),
]
EcsName = Annotated[str, _pattern(r"[A-Za-z0-9_-]{1,255}", "letters, digits, '_' and '-'")]
CodeDeployName = Annotated[
    str, _pattern(r"[A-Za-z0-9._+=,@-]{1,100}", "1 to 100 letters, digits and '._+=,@-'")
]
BuildName = Annotated[
    str, _pattern(r"[A-Za-z_][A-Za-z0-9_]{0,127}", "a name of letters, digits and '_'")
]
StageName = Annotated[
    str, _pattern(r"[A-Za-z][A-Za-z0-9_.-]{0,127}", "a stage's name: letters, digits, '_.-'")
]
SecretId = Annotated[
    str, _pattern(r"[A-Za-z0-9_.-]{1,64}", "1 to 64 letters, digits, '_', '.' and '-'")
]
SecretSource = Annotated[
    str,
    _pattern(
        r"/[A-Za-z0-9_./-]{1,1000}|arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:"
        r"[A-Za-z0-9/_+=.@-]{1,519}",
        "an SSM parameter's name that starts with '/', or a Secrets Manager secret's ARN "
        "(nothing after its name)",
    ),
]
KeyArn = Annotated[
    str,
    _pattern(
        r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]{1,128}",
        "the ARN of a KMS key, arn:aws:kms:…:key/… (not of an alias)",
    ),
]
RoleArn = Annotated[
    str, _pattern(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/\S{1,512}", "the ARN of an IAM role")
]
PrincipalArn = Annotated[
    str,
    _pattern(
        r"arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/\S{1,512}", "the ARN of an IAM role or user"
    ),
]
Boundary = Annotated[
    str,
    _pattern(
        r"arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/\S{1,512}|[A-Za-z0-9_+=,.@/-]{1,512}(?<!/)",
        "an IAM policy's ARN, or the name of one that each account has",
    ),
]
LayerArn = Annotated[
    str,
    _pattern(
        r"arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:layer:[A-Za-z0-9_-]+:[0-9]+",
        "the ARN of a Lambda layer's version",
    ),
]
Email = Annotated[str, _pattern(r"[^@\s]+@[^@\s]+\.[^@\s]+", "an e-mail address")]
Url = Annotated[str, _pattern(r"https?://[^\s{}]+", "an http or https URL")]
CommitUrl = Annotated[
    str, _pattern(r"https?://\S*\{commit\}\S*", "an http or https URL that holds {commit}")
]
Registry = Annotated[str, _pattern(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?", "a registry's host[:port]")]
Cidr = Annotated[
    str, _pattern(r"([0-9]{1,3}\.){3}[0-9]{1,3}/[0-9]{1,2}", "an IPv4 range such as 10.68.0.0/24")
]
AvailabilityZone = Annotated[
    str,
    _pattern(r"[a-z]{2}(-[a-z]+)+-[0-9][a-z]", "an availability zone, e.g. eu-central-1a"),
]
VpcId = Annotated[str, _pattern(r"vpc-[0-9a-f]{8,17}", "a VPC's id, vpc-…")]
SubnetId = Annotated[str, _pattern(r"subnet-[0-9a-f]{8,17}", "a subnet's id, subnet-…")]
InstanceType = Annotated[
    str, _pattern(r"[a-z][a-z0-9-]*\.[a-z0-9-]+", "an instance type such as t4g.medium")
]
Ami = Annotated[str, _pattern(r"ami-([0-9a-f]{8}|[0-9a-f]{17})", "an AMI's id, ami-…")]
Seconds = Annotated[int, Field(ge=1, le=400 * 86400)]
Port = Annotated[int, Field(ge=1, le=65535)]
Platform = Literal["linux/arm64", "linux/amd64"]
RetentionDays = Literal[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731]
