"""The installed command deploys for real: to the chain's own service, whose containers run here."""

from __future__ import annotations

from local.http import served_commit
from tests.e2e.chain import Chain
from tests.e2e.package.installed import Installed
from tests.e2e.package.test_commands import account


def test_it_rolls_out_to_containers_that_run(chain: Chain, installed: Installed) -> None:
    # GIVEN a service of the chain, which runs a commit's image by its digest
    pipeline, ecs = chain.pipeline("sample-2"), chain.prod("ecs")

    def running() -> str:
        found = ecs.describe_services(cluster=pipeline.cluster, services=[pipeline.service])
        return str(found["services"][0]["taskDefinition"])

    before, commit = running(), served_commit(pipeline.service_url)
    definition = ecs.describe_task_definition(taskDefinition=before)["taskDefinition"]
    image = definition["containerDefinitions"][0]["image"].partition("@")[0]
    # WHEN the installed command deploys that image by its tag
    told = installed.run(
        "deploy", "-c", pipeline.cluster, "-n", pipeline.service, "-i", f"{image}:{commit}",
        aws=account(chain.state.endpoint_url),
    )  # fmt: skip
    # THEN a new revision runs, and answers
    assert told.returncode == 0, (told.stdout, told.stderr)
    assert told.stdout.splitlines()[-1].startswith("succeeded: ")
    assert running() != before
    assert served_commit(pipeline.service_url) == commit
