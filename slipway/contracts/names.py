"""The names of everything that Slipway makes in an account: one place, deterministic.

The other account, the build host and the command line must be able to name things before they
exist, so no physical name is left to CloudFormation where somebody else needs it.
"""

from __future__ import annotations

from dataclasses import dataclass

RUNNING = "running."
"""What tags of images that run begin with."""
BUILT = "build-"
"""What the tag of each whole image begins with, and no other tag."""
CACHE = "cache."
"""What tags of the build cache begin with: layers for builders that have none."""
REDRIVEN = ("follower", "reconciler", "starter", "stopper")
"""Functions whose failed events `slipway redrive` runs again: SNS or EventBridge calls them."""


@dataclass(frozen=True)
class Names:
    """Names of one installation; `installation` is e.g. `slipway` or `slipway-stage`."""

    installation: str

    def _with(self, suffix: str) -> str:
        return f"{self.installation}-{suffix}"

    # dev account
    @property
    def trigger_function(self) -> str:
        return self._with("trigger")

    @property
    def trigger_role(self) -> str:
        return self._with("trigger")

    @property
    def failed_pushes(self) -> str:
        """Queue: pushes that the trigger Lambda failed on after its retries, or did not get."""
        return self._with("failed-pushes")

    @property
    def source_role(self) -> str:
        """GitPull on the repositories, for the build host's role alone."""
        return self._with("source")

    @property
    def tip_role(self) -> str:
        """GetBranch, for the reconciler and configured operators."""
        return self._with("tip")

    # prod account
    def running_tag(self, pipeline: str) -> str:
        """The ECR tag of the image that a pipeline runs; another one with each deployment."""
        return f"{RUNNING}{self.installation}.{pipeline}"

    @property
    def request_topic(self) -> str:
        return self._with("request")

    @property
    def close_topic(self) -> str:
        return self._with("close")

    @property
    def alarm_topic(self) -> str:
        return self._with("alarm")

    @property
    def build_queue(self) -> str:
        return self._with("build")

    @property
    def build_dead_letters(self) -> str:
        return self._with("build-dead-letters")

    @property
    def notices_queue(self) -> str:
        return self._with("notices")

    @property
    def notices_dead_letters(self) -> str:
        return self._with("notices-dead-letters")

    @property
    def follow_queue(self) -> str:
        """Queue: whose rollout is to be looked at next, and requests that may need no builder."""
        return self._with("follow")

    @property
    def follow_dead_letters(self) -> str:
        return self._with("follow-dead-letters")

    @property
    def failures(self) -> str:
        """Queue: the on-failure destination of prod's Lambdas; a record says whose event it was."""
        return self._with("failures")

    @property
    def undelivered(self) -> str:
        """Queue: what SNS or EventBridge could not deliver in prod."""
        return self._with("undelivered")

    @property
    def table(self) -> str:
        return self._with("deployments")

    def function(self, name: str) -> str:
        """A Lambda's function name and its role's name: starter, stopper and so on."""
        return self._with(name)

    @property
    def host_role(self) -> str:
        return self._with("host")

    @property
    def builder_project(self) -> str:
        """The CodeBuild project whose builds are builders."""
        return self._with("builder")

    @property
    def builder_role(self) -> str:
        """What a build of that project may do."""
        return self._with("builder")

    def host(self, number: int) -> str:
        """The EC2 Name tag of build host `number`, from 1."""
        return self._with(f"host-{number}")

    @property
    def read_policy(self) -> str:
        """For who looks with `slipway`; attached by the account's administrator."""
        return self._with("read")

    @property
    def operate_policy(self) -> str:
        """For who acts with `slipway`."""
        return self._with("operate")

    @property
    def rollouts_policy(self) -> str:
        """Of hosts and follower, where many pipelines make it too long to stand in their roles."""
        return self._with("rollouts")

    @property
    def webhook_policy(self) -> str:
        """For who sets the Slack webhook."""
        return self._with("webhook")

    @property
    def key_alias(self) -> str:
        """The alias of the KMS key of topics and queues, where there is one."""
        return f"alias/{self.installation}"

    @property
    def build_log_group(self) -> str:
        return f"/{self.installation}/builds"

    @property
    def agent_parameter(self) -> str:
        """SSM parameter: which agent the hosts run (asset location and hash)."""
        return f"/{self.installation}/agent"

    def webhook_parameter(self, pipeline: str | None = None) -> str:
        """SSM SecureString: the Slack incoming webhook, for all pipelines or for one."""
        suffix = "" if pipeline is None else f"/{pipeline}"
        return f"/{self.installation}/slack-webhook{suffix}"
