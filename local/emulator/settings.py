"""What the emulator is told when it starts; one value, read by every part of the extension."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
HEALTH_INTERVAL = 0.5
"""Seconds. ECS waits 5 s at least between two looks (`HealthCheck`, Amazon ECS API Reference)."""


@dataclass(frozen=True, kw_only=True)
class EmulatorSettings:
    """One run of the emulator.

    `port` is on 127.0.0.1. `data_dir` holds all it writes (git repositories, log, temporary
    files). Times are in seconds: `pending_seconds` and `stopping_seconds` are how long an
    instance is in those states, `retry_seconds` the first delay of Lambda's asynchronous retries
    (a minute in AWS), `health_interval_seconds` the longest pause between two health checks of a
    container that is not healthy yet (ECS: at least 5), `build_start_seconds` how long a build of
    CodeBuild waits for its machine, `build_minute_seconds` a minute of a build's timeout. What
    builds print is kept in `build_log_dir`, by default below `data_dir`. `git_users` are IAM users
    of the dev account with git credentials: names and passwords.
    `internal_endpoints` opens `/_slipway/` (faults, e-mails).
    """

    port: int
    data_dir: Path
    docker_host: str
    region: str = "us-east-1"
    dev_account: str = "111111111111"
    prod_account: str = "222222222222"
    pending_seconds: float = 1.0
    stopping_seconds: float = 1.0
    retry_seconds: float = 1.0
    health_interval_seconds: float = HEALTH_INTERVAL
    build_start_seconds: float = 1.0
    build_minute_seconds: float = 60.0
    build_log_dir: Path | None = None
    instances_start_stopped: bool = False
    git_users: tuple[tuple[str, str], ...] = ()
    internal_endpoints: bool = False

    @property
    def address(self) -> str:
        """Host and port, also the registry's name in image references."""
        return f"{HOST}:{self.port}"

    @property
    def endpoint_url(self) -> str:
        return f"http://{self.address}"

    @property
    def git_dir(self) -> Path:
        return self.data_dir / "git"

    @property
    def temporary_dir(self) -> Path:
        return self.data_dir / "tmp"

    @property
    def log_file(self) -> Path:
        return self.data_dir / "emulator.log"

    @property
    def run_id(self) -> str:
        """Label of every container of this run: the same for each start on one data directory."""
        digest = hashlib.sha256(str(self.data_dir.resolve()).encode()).hexdigest()
        return f"slipway-{digest[:12]}"

    def environment(self) -> dict[str, str]:
        """What ministack reads, mostly at import time; so it is set before the first import."""
        return {
            "AUTH": "true",
            "BIND_HOST": HOST,
            "GATEWAY_PORT": str(self.port),
            "MINISTACK_HOST": HOST,
            "MINISTACK_HOSTNAME": self.run_id,
            "MINISTACK_REGION": self.region,
            "MINISTACK_ACCOUNT_ID": self.prod_account,
            "AWS_DEFAULT_REGION": self.region,
            "DOCKER_HOST": self.docker_host,
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "LAMBDA_ASYNC_RETRY_BASE_SECONDS": str(self.retry_seconds),
            "PERSIST_STATE": "0",
            "S3_PERSIST": "0",
            "TMPDIR": str(self.temporary_dir),
        }
