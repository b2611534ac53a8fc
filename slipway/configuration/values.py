"""The values of a configuration that are texts, and which texts each may be."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

from slipway.configuration.regions import regions
from slipway.contracts.messages import PIPELINE_NAME
from slipway.contracts.public_urls import is_url


@dataclass(frozen=True)
class _Text:
    """A text that matches `pattern` as a whole and that `check` accepts.

    `allowed` says in words which, in errors and in the docs. The pattern stands in the JSON Schema
    too, so it keeps to what Python's and ECMAScript's expressions have in common. `meant`: the
    value that somebody may have meant by one that is not allowed; told if it is allowed itself.
    """

    pattern: str
    allowed: str
    check: Callable[[str], bool] = lambda _value: True
    meant: Callable[[str], str] = lambda _value: ""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self._value, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "pattern": f"^(?:{self.pattern})$", "allowed": self.allowed}

    def _value(self, value: str) -> str:
        if self._takes(value):
            return value
        meant = self.meant(value)
        hint = f', such as "{meant}"' if self._takes(meant) else ""
        raise ValueError(f"must be {self.allowed}{hint}")

    def _takes(self, value: str) -> bool:
        return re.fullmatch(self.pattern, value) is not None and self.check(value)


def _branch_of(reference: str) -> str:
    """The branch that a reference names."""
    return reference.removeprefix("refs/heads/")


def _ecr_name_in(uri: str) -> str:
    """The name of the repository that an ECR URI names, its tag or digest left out."""
    host, _, path = uri.partition("/")
    return path.partition("@")[0].partition(":")[0] if ".dkr.ecr" in host else ""


def _code_name_in(place: str) -> str:
    """The name of the repository that an address or an ARN of CodeCommit names."""
    address = re.search(r"git-codecommit\..+/v1/repos/([^/]+)|:codecommit:.+:([^:/]+)$", place)
    return (address[1] or address[2]) if address else ""


def _is_of_no_file(pattern: str) -> bool:
    """git matches no file by a wildcard whose pattern ends in `/`."""
    return pattern.endswith("/") and any(special in pattern for special in "*?[")


def _path_pattern_of(text: str) -> str:
    """The pattern that git's own magic, an absolute path or a lone `/` at the end stand for."""
    found = re.fullmatch(r"(!?)(?::\(([^)]*)\)|:([!^/]*))?(?:\.?/)*(.*)", text)
    if found is None:
        return ""
    magic = text[: len(text) - len(found[4])]
    excluded = "!" if found[1] or "exclude" in magic or (found[3] or "").strip("/") else ""
    whole = excluded + found[4]
    return whole + "**" if _is_of_no_file(whole) else whole


ECR_NAME = r"[a-z0-9]+([._-][a-z0-9]+)*(/[a-z0-9]+([._-][a-z0-9]+)*)*"
ECR_HOST = r"[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com"


def is_uri(repository: str) -> bool:
    """Whether an `EcrRepository` is a whole URI, not a name alone."""
    return re.match(rf"{ECR_HOST}/", repository) is not None


Account = Annotated[str, _Text(r"[0-9]{12}", "an account number of 12 digits")]
Region = Annotated[str, _Text(r"[a-z]{2}(-[a-z]+)+-[0-9]", "a region's name such as eu-central-1")]
KnownRegion = Annotated[
    str,
    _Text(
        r"[a-z0-9-]+",
        "a region that this machine's botocore knows, such as eu-central-1",
        check=lambda region: region in regions(),
    ),
]
"""For questions. In a configuration it is a rule, which also tells the nearest one."""
InstallationName = Annotated[
    str,
    _Text(r"[a-z][a-z0-9-]{0,23}", "1 to 24 lower-case letters, digits and '-', a letter first"),
]
PipelineName = Annotated[
    str,
    _Text(PIPELINE_NAME, "1 to 40 lower-case letters, digits and '-', a letter first"),
]
CodeRepositoryName = Annotated[
    str,
    _Text(
        r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}(?<!\.git)",
        "1 to 100 letters, digits, '.', '_' and '-', not '.', '..' or with '.git' at the end",
        meant=_code_name_in,
    ),
]
_BRANCH_PART = r"[A-Za-z0-9_-][A-Za-z0-9._-]*(?<!\.lock)"
Branch = Annotated[
    str,
    _Text(
        rf"(?!-)(?!refs/)(?!.*\.\.)(?=.{{1,200}}$){_BRANCH_PART}(?:/{_BRANCH_PART})*(?<!\.)",
        "a branch name of letters, digits, '.', '_', '-' and '/', without refs/heads/",
        meant=_branch_of,
    ),
]
RelativePath = Annotated[
    str,
    _Text(
        r"(?![/-])(?!(?:.*/)?\.\.(?:/|$))[^\x00-\x1f\x7f]+",
        "a relative path inside the repository, without '..'",
        check=str.isprintable,
    ),
]
DockerfilePath = Annotated[
    str,
    _Text(
        r"(?![/-])(?!(?:.*/)?\.\.$)[^\x00-\x1f\x7f]+",
        "a file's path, relative to the context; with '..' it may stand outside of that",
        check=str.isprintable,
    ),
]
ReportPattern = Annotated[
    str,
    _Text(
        r"(?!-)(?!/[^/]*[*?\[])(?!.*//)(?!(?:.*/)?\.\.(?:/|$))[^\x00-\x1f\x7f]{1,300}(?<!/)",
        "a path in the container, or a pattern with '*', '?' and '**', without '..'; after a '/' "
        "at its beginning comes a plain name",
        check=str.isprintable,
    ),
]
_PATH_PART = r"(?!\.{1,2}(?:/|$))[^/\\\x00-\x1f\x7f]+"
PathPattern = Annotated[
    str,
    _Text(
        rf"(?=.{{1,300}}$)!?(?![!:]){_PATH_PART}(?:/{_PATH_PART})*/?",
        "a pattern of paths inside the repository such as services/web/** or !**/*.md: no '/' "
        "before it, no '.' or '..' as a part, no '\\', no magic of git's (':'), and no '/' at the "
        "end of one with '*', '?' or '['",
        check=lambda path: path.isprintable() and not _is_of_no_file(path),
        meant=_path_pattern_of,
    ),
]
EcrName = Annotated[
    str,
    _Text(
        rf"(?=.{{2,256}}$)(?!.*\.dkr[.-]ecr){ECR_NAME}",
        "an ECR repository name: lower-case letters, digits, single '.', '_', '-' and '/'",
        meant=_ecr_name_in,
    ),
]
EcrRepository = Annotated[
    str,
    _Text(
        rf"({ECR_HOST}/)?{ECR_NAME}",
        "an ECR repository's URI without a tag, or the name of one of the prod account's",
    ),
]
EcsName = Annotated[str, _Text(r"[A-Za-z0-9_-]{1,255}", "letters, digits, '_' and '-'")]
RuleName = Annotated[str, _Text(r"[A-Za-z0-9._-]{1,64}", "1 to 64 letters, digits and '._-'")]
"""As EventBridge's PutTargets takes it, of a target's id as well."""
ScheduleName = Annotated[str, _Text(r"[A-Za-z0-9._-]{1,64}", "1 to 64 letters, digits and '._-'")]
"""As EventBridge Scheduler's GetSchedule takes it, of a group as well."""
BusName = Annotated[
    str, _Text(r"[A-Za-z0-9._/-]{1,256}", "the name of an event bus: letters, digits and '._-/'")
]
LogGroupName = Annotated[
    str, _Text(r"[A-Za-z0-9_/.#-]{1,512}", "1 to 512 letters, digits and '_/.#-'")
]
"""As CloudWatch Logs' CreateLogGroup takes it."""
CodeDeployName = Annotated[
    str, _Text(r"[A-Za-z0-9._+=,@-]{1,100}", "1 to 100 letters, digits and '._+=,@-'")
]
ValuePath = Annotated[
    str,
    _Text(
        r"[A-Za-z0-9_-]{1,255}(\.[^\x00-\x20\x7f]{1,255})?",
        "a path such as cpu, web.memory or web.environment.LEVEL",
    ),
]
_FUNCTION = r"[A-Za-z0-9_-]{1,64}"
FunctionName = Annotated[
    str,
    _Text(
        rf"{_FUNCTION}|arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{{12}}:function:{_FUNCTION}"
        r"(:[A-Za-z0-9$_-]{1,129})?",
        "the name of a Lambda function, or its ARN",
    ),
]
BuildName = Annotated[
    str, _Text(r"[A-Za-z_][A-Za-z0-9_]{0,127}", "a name of letters, digits and '_'")
]
StageName = Annotated[
    str, _Text(r"[A-Za-z][A-Za-z0-9_.-]{0,127}", "a stage's name: letters, digits, '_.-'")
]
SecretId = Annotated[
    str, _Text(r"[A-Za-z0-9_.-]{1,64}", "1 to 64 letters, digits, '_', '.' and '-'")
]
_IN_SECRETS_MANAGER = (
    r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]{1,519}"
)
SecretSource = Annotated[
    str,
    _Text(
        rf"/[A-Za-z0-9_./-]{{1,1000}}|{_IN_SECRETS_MANAGER}",
        "an SSM parameter's name that starts with '/', or a Secrets Manager secret's ARN "
        "(nothing after its name)",
    ),
]
SecretArn = Annotated[
    str, _Text(_IN_SECRETS_MANAGER, "the ARN of a Secrets Manager secret (nothing after its name)")
]
BuilderImage = Annotated[
    str,
    _Text(
        rf"aws/codebuild/[a-z0-9_-]+:[A-Za-z0-9._-]{{1,128}}"
        rf"|{ECR_HOST}/{ECR_NAME}(:[A-Za-z0-9_][A-Za-z0-9._-]{{0,127}}|@sha256:[0-9a-f]{{64}})",
        "an image of CodeBuild's own such as aws/codebuild/amazonlinux-x86_64-standard:6.0, or one "
        "in ECR with its tag or digest",
    ),
]
KeyArn = Annotated[
    str,
    _Text(
        r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]{1,128}",
        "the ARN of a KMS key, arn:aws:kms:…:key/… (not of an alias)",
    ),
]
_IAM_NAME = r"[A-Za-z0-9_+=,.@/-]{1,512}"
"""A path and a name in IAM; no wildcard: an ARN that is configured names one thing."""
_ROLE_ARN = rf"arn:aws[a-z-]*:iam::[0-9]{{12}}:role/{_IAM_NAME}"
RoleArn = Annotated[str, _Text(_ROLE_ARN, "the ARN of an IAM role, without '*'")]
PrincipalArn = Annotated[
    str,
    _Text(
        rf"arn:aws[a-z-]*:iam::[0-9]{{12}}:(role|user)/{_IAM_NAME}",
        "the ARN of an IAM role or user, without '*'",
    ),
]
Boundary = Annotated[
    str,
    _Text(
        rf"arn:aws[a-z-]*:iam::([0-9]{{12}}|aws):policy/{_IAM_NAME}|{_IAM_NAME}(?<!/)",
        "an IAM policy's ARN, or the name of one that each account has",
    ),
]
LayerArn = Annotated[
    str,
    _Text(
        r"arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:layer:[A-Za-z0-9_-]+:[0-9]+",
        "the ARN of a Lambda layer's version",
    ),
]
Email = Annotated[str, _Text(r"[^@\s]+@[^@\s]+\.[^@\s]+", "an e-mail address")]
Url = Annotated[str, _Text(r"https?://[^\s{}]+", "an http or https URL")]
CommitUrl = Annotated[
    str, _Text(r"https?://\S*\{commit\}\S*", "an http or https URL that holds {commit}")
]
SmokeUrl = Annotated[
    str,
    _Text(
        r"https?://[!-~]+",
        "an http or https URL with a host's name, without user, password, blank or fragment",
        check=is_url,
    ),
]
HttpStatus = Annotated[int, Field(ge=100, le=599)]
Needle = Annotated[str, Field(min_length=1, max_length=200)]
AlarmName = Annotated[
    str,
    _Text(
        r"[!#%-)+->@-~]([ !#%-)+->@-~]{0,253}[!#%-)+->@-~])?",
        "an alarm's name: up to 255 ASCII characters, none of them *, ?, $ or a quote",
    ),
]
Registry = Annotated[str, _Text(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?", "a registry's host[:port]")]
Cidr = Annotated[
    str, _Text(r"([0-9]{1,3}\.){3}[0-9]{1,3}/[0-9]{1,2}", "an IPv4 range such as 10.68.0.0/24")
]
AvailabilityZone = Annotated[
    str,
    _Text(r"[a-z]{2}(-[a-z]+)+-[0-9][a-z]", "an availability zone, e.g. eu-central-1a"),
]
VpcId = Annotated[str, _Text(r"vpc-[0-9a-f]{8,17}", "a VPC's id, vpc-…")]
SubnetId = Annotated[str, _Text(r"subnet-[0-9a-f]{8,17}", "a subnet's id, subnet-…")]
SecurityGroupId = Annotated[str, _Text(r"sg-[0-9a-f]{8,17}", "a security group's id, sg-…")]
InstanceType = Annotated[
    str, _Text(r"[a-z][a-z0-9-]*\.[a-z0-9-]+", "an instance type such as t4g.medium")
]
Ami = Annotated[str, _Text(r"ami-([0-9a-f]{8}|[0-9a-f]{17})", "an AMI's id, ami-…")]
Seconds = Annotated[int, Field(ge=1, le=400 * 86400)]
Port = Annotated[int, Field(ge=1, le=65535)]
Platform = Literal["linux/arm64", "linux/amd64"]
RetentionDays = Literal[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731]


def role_of(account: str) -> Any:
    """For questions: the ARN of a role of `account`. In a configuration it is a rule."""
    words = f"the ARN of an IAM role of the account {account}"
    return Annotated[str, _Text(_ROLE_ARN, words, check=lambda arn: f"::{account}:" in arn)]


def account_but(numbers: Collection[str]) -> Any:
    """For questions: an account's number that is none of the example's `numbers`."""
    words = "an account number of 12 digits, and not the example's"
    return Annotated[str, _Text(r"[0-9]{12}", words, check=lambda text: text not in numbers)]
