"""The stacks of the local run: synthesised once, deployed once per account, by the CDK CLI."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from local.accounts import account_environment, client_of
from local.configuration import DEV_ACCOUNT, PROD_ACCOUNT
from local.node import cdk_command, node_environment, with_virtual_environment
from local.started import Ledger
from local.workplace import REPOSITORY, Workplace
from slipway.contracts.errors import WorldFailed

SYNTH_SECONDS = 180.0
DEPLOY_SECONDS = 240.0


class Cloud:
    """`cdk synth` and `cdk deploy` against the emulator."""

    def __init__(
        self, workplace: Workplace, ledger: Ledger, *, endpoint_url: str, region: str
    ) -> None:
        self._workplace = workplace
        self._ledger = ledger
        self._endpoint_url = endpoint_url
        self._region = region

    def start_synth(self) -> subprocess.Popen[bytes]:
        """Begin to write the templates; `finish` waits for it."""
        arguments = ("synth", "--quiet", "--output", str(self._workplace.assembly_dir))
        context = ("--context", f"configuration={self._workplace.configuration_file}")
        return self._cdk("cdk-synth", *arguments, *context, account="000000000000")

    def start_deploy(self, stack: str, account: str) -> subprocess.Popen[bytes]:
        """Begin to deploy one stack to its account, as that account's administrator."""
        arguments = ("deploy", stack, "--app", str(self._workplace.assembly_dir))
        # A change set is what a person would look at; nobody looks here.
        options = ("--require-approval", "never", "--method", "direct", "--progress", "events")
        return self._cdk(f"cdk-deploy-{account}", *arguments, *options, account=account)

    def finish(self, process: subprocess.Popen[bytes], name: str, seconds: float) -> None:
        """Wait for `name`; WorldFailed with its last words if it failed."""
        log = self._workplace.log_dir / f"{name}.log"
        try:
            code = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise WorldFailed(f"{name} was not done after {seconds:g} s: see {log}") from None
        if code != 0:
            raise WorldFailed(f"{name} failed: {_last_words(log)} (see {log})")

    def _cdk(self, name: str, *arguments: str, account: str) -> subprocess.Popen[bytes]:
        base = account_environment(
            with_virtual_environment(node_environment(dict(os.environ))),
            self._endpoint_url,
            account,
            self._region,
        )
        quiet = {
            "CDK_DISABLE_CLI_TELEMETRY": "true",
            "CDK_DISABLE_VERSION_CHECK": "1",
            "CDK_HOME": str(self._workplace.cdk_home),
            "CI": "true",
            "NO_COLOR": "1",
        }
        return self._ledger.spawn(
            name,
            [*cdk_command(REPOSITORY), *arguments, "--no-notices"],
            environment={**base, **quiet},
            directory=REPOSITORY,
        )


def installation_file(assembly: Path) -> Path:
    """The settings that the synth shipped to Lambdas and agent; WorldFailed if there are none."""
    for found in sorted(assembly.glob("asset.*/installation.json")):
        return found
    raise WorldFailed(f"the synth left no installation.json in {assembly}")


def make_asset_buckets(endpoint_url: str, region: str) -> None:
    """The buckets that `cdk bootstrap` would make; the rest of it is not needed here."""
    for account in (DEV_ACCOUNT, PROD_ACCOUNT):
        s3 = client_of("s3", endpoint_url, account, region)
        s3.create_bucket(Bucket=f"cdk-hnb659fds-assets-{account}-{region}")


def _last_words(log: Path) -> str:
    """The first line that says what went wrong, or the last line of all."""
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines()]
    lines = [line for line in lines if line]
    telling = [line for line in lines if re.search(r"\bfail:|\berror\b|failed|❌", line, re.I)]
    return telling[0] if telling else (lines or ["it said nothing"])[-1]
