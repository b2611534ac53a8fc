"""`slipway local up`: everything that a push needs, in the background, on one machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from local import cloud, docker
from local.accounts import client_of
from local.commands import last_line
from local.configuration import (
    BRANCH,
    DEV_ACCOUNT,
    INSTALLATION,
    NAMES,
    PROD_ACCOUNT,
    REGION,
    SAMPLE_PORT,
    local_configuration,
)
from local.docker import Docker
from local.down import take_down
from local.emulator.process import command_line, is_ready
from local.emulator.sweep import RUN_LABEL
from local.http import fetch, served_commit
from local.machine import image, possible
from local.plan import Options, Plan, make_plan, ports_for
from local.ports import listens
from local.progress import Progress
from local.sample_repository import Release, SampleRepository, write_sample
from local.started import Ledger
from local.state import HostState, PipelineState, State, read_state, write_state
from local.supervisor import instances_of
from local.team import make_team
from local.waiting import wait_for, wait_until
from local.workplace import REPOSITORY, Workplace, write_json
from slipway.contracts.errors import WorldFailed, WrongUse
from slipway.contracts.installation import Installation, load_installation

FIRST_RELEASE = "first release"
STACKS = ((f"{INSTALLATION}-dev", DEV_ACCOUNT), (f"{INSTALLATION}-prod", PROD_ACCOUNT))
READY_SECONDS = 40.0
FIRST_DEPLOYMENT_SECONDS = 180.0


def bring_up(workplace: Workplace, options: Options, progress: Progress) -> State:
    """Start it all; returns when a push would be deployed.

    WrongUse where it runs already; on any failure, Ctrl-C included, everything is taken down.
    """
    with workplace.locked():
        _refuse_if_running(workplace)
        if options.machine:
            possible.prepare(workplace)
        if options.builders != "hosts":
            _refuse_without_aws_cli()
        if take_down(workplace, progress):
            progress.say("an earlier run had left things behind: taken down")
        shutil.rmtree(workplace.log_dir, ignore_errors=True)
        with ports_for(options) as ports:
            ledger = Ledger.begin(workplace)
            try:
                plan = make_plan(workplace, options, ports)
                return _bring_up(workplace, plan, ledger, progress)
            except BaseException:
                progress.say("taking down what was started")
                take_down(workplace, progress)
                raise


def _refuse_if_running(workplace: Workplace) -> None:
    ledger = Ledger.load(workplace)
    if ledger is None or not workplace.state_file.exists():
        return
    services = ledger.services()
    dead = sorted(name for name, up in services.items() if not up)
    if not dead:
        state = read_state(workplace)
        raise AlreadyRunning(
            f"it is running already, at {state.endpoint_url}: `slipway local down` ends it"
        )
    if len(dead) < len(services):
        raise WorldFailed(
            f"it is running, but {', '.join(dead)} died (logs: {workplace.log_dir}):"
            " `slipway local down`, then `up` again"
        )


def _refuse_without_aws_cli() -> None:
    """CodeBuild's images bring it; builds here take what is installed."""
    beside = str(Path(sys.executable).parent)
    if not shutil.which("aws", path=os.pathsep.join((beside, os.environ.get("PATH", "")))):
        raise WorldFailed(
            "builds of CodeBuild call the AWS CLI, and there is none:"
            " install awscli (requirements-dev.txt)"
        )


class AlreadyRunning(WrongUse):
    """A second `up`: not a failure for a person, but not a new run either."""


def _bring_up(workplace: Workplace, plan: Plan, ledger: Ledger, progress: Progress) -> State:
    write_json(workplace.configuration_file, _configuration(plan))
    stacks = cloud.Cloud(workplace, ledger, endpoint_url=plan.settings.endpoint_url, region=REGION)
    synth = stacks.start_synth()
    with progress.step("Docker answers"):
        daemon = docker.provide(workplace, ledger)
        busybox = docker.provide_busybox()
    machines: Path | None = None
    if plan.options.machine:
        with progress.step("the machines' image"):
            machines = image.provide(workplace, ledger)
    with progress.step("emulator and Slack page answer"):
        _start_emulator(workplace, ledger, plan, daemon)
        _start_slack_page(workplace, ledger, plan)
    cloud.make_asset_buckets(plan.settings.endpoint_url, REGION)
    with progress.step("first image built"):
        _build_initial_image(workplace, plan, daemon, busybox)
    with progress.step("cdk synth"):
        stacks.finish(synth, "cdk-synth", cloud.SYNTH_SECONDS)
    installation = _keep_installation(workplace)
    with progress.step("cdk deploy, both accounts"):
        if plan.options.sample == "whole":
            make_team(_prod_clients(plan), plan.initial_image)
        _deploy(stacks)
    _store_webhook(plan, installation)
    with progress.step("hosts, services and repositories ready"):
        _start_proxy(workplace, ledger, plan)
        state = _state(workplace, plan, installation)
        write_state(workplace, state)
        if plan.options.host_count:
            _start_supervisor(workplace, ledger, plan, daemon, machines)
        commits = _seed(workplace, plan, busybox)
    if plan.options.wait_for_first:
        with progress.step("first commit deployed"):
            _await_first(workplace, state, commits)
    return read_state(workplace)


def _configuration(plan: Plan) -> dict[str, Any]:
    return local_configuration(
        endpoint_url=plan.settings.endpoint_url,
        registry=plan.settings.address,
        initial_image=plan.initial_image,
        pipelines=plan.pipelines,
        hosts=plan.options.hosts,
        builds=plan.options.builds,
        builders=plan.options.builders,
        overflow_after=plan.options.overflow_after,
        build_limit=plan.options.build_limit,
        machine=plan.options.machine,
        idle_period=plan.options.idle_period,
        start_period=plan.options.start_period,
        paths=plan.options.paths,
        scheduled=plan.options.scheduled,
        smoke=_smoke(plan),
    )


def _smoke(plan: Plan) -> dict[str, Any] | None:
    """A request to this machine: only in the local run that is allowed."""
    if plan.options.sample == "whole":
        page, said = "ready", "ready: "
    elif plan.options.smoke is not None:
        page, said = "version.json", plan.options.smoke
    else:
        return None
    url = f"http://127.0.0.1:{plan.service_ports[0]}/{page}"
    return {"url": url, "contains": said, "within": 10}


def _start_emulator(workplace: Workplace, ledger: Ledger, plan: Plan, daemon: Docker) -> None:
    settings = replace(plan.settings, docker_host=daemon.host)
    ledger.note(container_label=f"{RUN_LABEL}={settings.run_id}", registry=settings.address)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    users = settings.data_dir / "git-users.json"
    users.touch(mode=0o600)
    users.write_text(json.dumps(dict(settings.git_users)), encoding="utf-8")
    process = ledger.spawn(
        "emulator",
        [sys.executable, "-m", "local.emulator", *command_line(settings, users)],
        environment=daemon.environment(os.environ),  # the builds' way to Docker
        directory=REPOSITORY,
    )
    _await_start(workplace, "emulator", process, lambda: is_ready(settings))


def _start_slack_page(workplace: Workplace, ledger: Ledger, plan: Plan) -> None:
    process = ledger.spawn(
        "slack-page",
        [
            *(sys.executable, "-m", "local.slack_page"),
            *("--port", str(plan.slack_port), "--state", str(workplace.state_file)),
        ],
        environment=dict(os.environ),
        directory=REPOSITORY,
    )
    address = f"{plan.slack_url}/messages.json"
    _await_start(workplace, "slack-page", process, lambda: fetch(address) is not None)


def _await_start(
    workplace: Workplace,
    name: str,
    process: subprocess.Popen[bytes],
    answers: Callable[[], bool],
) -> None:
    """Until it answers; WorldFailed with its last words if it ends or stays silent."""
    log = workplace.log_dir / f"{name}.log"
    wait_until(lambda: process.poll() is not None or answers(), seconds=READY_SECONDS, poll=0.05)
    if process.poll() is not None or not answers():
        raise WorldFailed(f"{name} does not start: {last_line(log)} (see {log})")


def _build_initial_image(workplace: Workplace, plan: Plan, daemon: Docker, busybox: Path) -> None:
    """The image that services run until the first deployment: the sample, with nothing to say."""
    context = workplace.directory / "initial"
    write_sample(context, busybox, Release("nothing has been deployed yet", number=0))
    daemon.run("build", "--quiet", "--tag", plan.initial_image, str(context))
    shutil.rmtree(context)


def _keep_installation(workplace: Workplace) -> Installation:
    shipped = cloud.installation_file(workplace.assembly_dir)
    shutil.copyfile(shipped, workplace.installation_file)
    return load_installation(workplace.installation_file)


def _deploy(stacks: cloud.Cloud) -> None:
    """Both at once: neither needs the other to be there first."""
    running = [(stacks.start_deploy(stack, account), account) for stack, account in STACKS]
    for process, account in running:
        stacks.finish(process, f"cdk-deploy-{account}", cloud.DEPLOY_SECONDS)


def _prod_clients(plan: Plan) -> Callable[[str], Any]:
    return lambda name: client_of(name, plan.settings.endpoint_url, PROD_ACCOUNT, REGION)


def _store_webhook(plan: Plan, installation: Installation) -> None:
    """CloudFormation cannot make a SecureString: in AWS, `slipway webhook set` does this."""
    ssm = _prod_clients(plan)("ssm")
    parameters = {p.webhook_parameter or NAMES.webhook_parameter() for p in installation.pipelines}
    for name in sorted(parameters | {NAMES.webhook_parameter()}):
        ssm.put_parameter(
            Name=name, Value=f"{plan.slack_url}/", Type="SecureString", Overwrite=True
        )


def _start_proxy(workplace: Workplace, ledger: Ledger, plan: Plan) -> None:
    routes = [
        f"{port}={names.cluster}/{names.service}:{SAMPLE_PORT}"
        for port, names in zip(plan.service_ports, plan.pipelines, strict=True)
    ]
    process = ledger.spawn(
        "proxy",
        [
            *(sys.executable, "-m", "local.proxy"),
            *("--endpoint-url", plan.settings.endpoint_url),
            *("--account", PROD_ACCOUNT, "--region", REGION),
            *(word for route in routes for word in ("--route", route)),
        ],
        environment=dict(os.environ),
        directory=REPOSITORY,
    )
    _await_start(workplace, "proxy", process, lambda: listens(plan.service_ports[0]))


def _start_supervisor(
    workplace: Workplace, ledger: Ledger, plan: Plan, daemon: Docker, machines: Path | None
) -> None:
    options: tuple[str, ...] = ()
    if machines is not None:
        ledger.note(cgroup=ledger.started.mark)
        options = (f"--image={machines}", f"--cgroup={ledger.started.mark}")
    ledger.spawn(
        "supervisor",
        [
            *(sys.executable, "-m", "local.supervisor"),
            *("--directory", str(workplace.directory)),
            *("--endpoint-url", plan.settings.endpoint_url),
            *options,
        ],
        environment=daemon.environment(os.environ),
        directory=REPOSITORY,
    )


def _state(workplace: Workplace, plan: Plan, installation: Installation) -> State:
    endpoint_url = plan.settings.endpoint_url
    clients = _prod_clients(plan)
    sqs, ec2 = clients("sqs"), clients("ec2")
    return State(
        endpoint_url=endpoint_url,
        region=REGION,
        dev_account=DEV_ACCOUNT,
        prod_account=PROD_ACCOUNT,
        pipelines={
            names.name: PipelineState(
                git_url=plan.git_url(names),
                branch=BRANCH,
                service_url=f"http://127.0.0.1:{port}",
                cluster=names.cluster,
                service=names.service,
                ecr_repository=names.image,
            )
            for port, names in zip(plan.service_ports, plan.pipelines, strict=True)
        },
        slack_url=plan.slack_url,
        queue_url=sqs.get_queue_url(QueueName=NAMES.build_queue)["QueueUrl"],
        request_topic_arn=installation.request_topic_arn,
        close_topic_arn=installation.close_topic_arn,
        table=NAMES.table,
        hosts=tuple(
            HostState(instance_id=instance_id)
            for instance_id, _, _ in instances_of(ec2, installation)
        ),
        log_dir=str(workplace.log_dir),
        start_period=plan.options.start_period,
        builder_project=NAMES.builder_project if installation.builders.uses_code_build else None,
    )


def _seed(workplace: Workplace, plan: Plan, busybox: Path) -> dict[str, str]:
    """Push each repository's first commit; the commit's id by pipeline."""
    commits = {}
    for names in plan.pipelines:
        repository = SampleRepository(workplace.sample_dir / names.name)
        release = Release(FIRST_RELEASE)
        commits[names.name] = repository.create(plan.git_url(names), BRANCH, busybox, release)
        repository.push(BRANCH)
    return commits


def _await_first(workplace: Workplace, state: State, commits: dict[str, str]) -> None:
    """The first commits answer over HTTP: the proof that the whole chain works."""
    for name, commit in commits.items():
        url = state.pipelines[name].service_url
        wait_for(
            f"the deployment of the first commit ({name}; logs in {workplace.log_dir})",
            lambda url=url, commit=commit: served_commit(url) == commit,  # type: ignore[misc]
            seconds=FIRST_DEPLOYMENT_SECONDS,
        )
