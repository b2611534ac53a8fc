"""ARNs of what Slipway makes, as plain text: statements stay readable and need no references.

A policy may name what does not exist yet, so neither side nor any order of creation matters.
"""

from __future__ import annotations

from dataclasses import dataclass

from slipway.contracts.installation import Installation


@dataclass(frozen=True)
class Arns:
    """ARNs of one installation, in its two accounts."""

    installation: Installation

    def prod(self, service: str, resource: str) -> str:
        """The ARN of `resource` in the prod account and region."""
        i = self.installation
        return f"arn:{i.partition}:{service}:{i.region}:{i.prod_account}:{resource}"

    def dev(self, service: str, resource: str) -> str:
        """The ARN of `resource` in the dev account and region."""
        i = self.installation
        return f"arn:{i.partition}:{service}:{i.dev_region}:{i.dev_account}:{resource}"

    def _role(self, account: str, name: str) -> str:
        return f"arn:{self.installation.partition}:iam::{account}:role/{name}"

    def prod_role(self, name: str) -> str:
        return self._role(self.installation.prod_account, name)

    def dev_role(self, name: str) -> str:
        return self._role(self.installation.dev_account, name)

    @property
    def trigger_role(self) -> str:
        return self.dev_role(self.installation.names.trigger_role)

    @property
    def source_role(self) -> str:
        return self.dev_role(self.installation.names.source_role)

    @property
    def tip_role(self) -> str:
        return self.dev_role(self.installation.names.tip_role)

    @property
    def host_role(self) -> str:
        return self.prod_role(self.installation.names.host_role)

    @property
    def builder_role(self) -> str:
        return self.prod_role(self.installation.names.builder_role)

    @property
    def builder_project(self) -> str:
        return self.prod("codebuild", f"project/{self.installation.names.builder_project}")

    @property
    def building_roles(self) -> list[str]:
        """The roles of whoever builds: hosts, builders, or both."""
        builders = self.installation.builders
        hosts = [self.host_role] if builders.uses_hosts else []
        return [*hosts, *([self.builder_role] if builders.uses_code_build else [])]

    @property
    def table(self) -> str:
        return self.prod("dynamodb", f"table/{self.installation.names.table}")

    def queue(self, name: str) -> str:
        return self.prod("sqs", name)

    def topic(self, name: str) -> str:
        return self.prod("sns", name)

    def parameter(self, name: str) -> str:
        """The ARN of the SSM parameter `name`, which starts with a slash."""
        return self.prod("ssm", f"parameter/{name.removeprefix('/')}")

    @property
    def any_key(self) -> str:
        """KMS keys of prod in its region: a key's id is KMS's to make."""
        return self.prod("kms", "key/*")

    @property
    def any_key_anywhere(self) -> str:
        """Keys in prod's region, whichever account has them; only with a condition on their use."""
        i = self.installation
        return f"arn:{i.partition}:kms:{i.region}:*:key/*"

    def log_group(self, name: str) -> str:
        return self.prod("logs", f"log-group:{name}")

    def code_repository(self, name: str) -> str:
        """The ARN of a CodeCommit repository in the dev account."""
        return self.dev("codecommit", name)

    def image_repository_of(self, uri: str) -> str:
        """The ARN of an ECR repository of any account, by its URI without a tag."""
        host, _, name = uri.partition("/")
        account, _dkr, _ecr, region, *_domain = host.split(".")
        return f"arn:{self.installation.partition}:ecr:{region}:{account}:repository/{name}"

    def image_repository(self, name: str) -> str:
        """The ARN of an ECR repository in the prod account."""
        return self.prod("ecr", f"repository/{name}")
