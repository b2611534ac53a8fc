"""What a configuration is to say: asked for, with what is seen of the account as the defaults."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slipway.cli.init.account import Account, ServiceSeen, default_region
from slipway.cli.init.compose import ServiceWanted, Wanted, pipeline_name
from slipway.cli.init.questions import Questions
from slipway.configuration import values
from slipway.configuration.placeholders import EXAMPLE_ACCOUNTS
from slipway.configuration.processors import Processor
from slipway.contracts.errors import WrongUse

SAMPLE_CONTAINER = "app"


def find_out(questions: Questions, given: dict[str, Any]) -> Wanted:
    """All that the configuration says, in the order in which a person is asked."""
    region = questions.ask("region", "Region", values.KnownRegion, default=_region(given))
    prod, dev = _accounts(given, region)
    prod_account, prod = _account(questions, "prod-account", "Account that runs it", prod)
    dev_account, dev = _account(questions, "dev-account", "Account that is pushed to", dev)
    repository, create_repository, branch = _code(questions, dev)
    service, seen = _service(questions, prod, prod_account)
    named = service.name if service else repository
    pipeline = questions.ask(
        "pipeline", "Pipeline's name", values.PipelineName, default=pipeline_name(named)
    )
    images, create_images = _images(
        questions, prod, seen or _sample(service), pipeline, exists=service is not None
    )
    architecture = _architecture(questions, seen)
    return Wanted(
        name=questions.ask(
            "name", "Installation's name", values.InstallationName, default="slipway"
        ),
        region=region,
        dev_account=dev_account,
        prod_account=prod_account,
        pipeline=pipeline,
        repository=repository,
        create_repository=create_repository,
        branch=branch,
        images=images,
        create_images=create_images,
        service=service,
        architecture=architecture,
        ami=prod.newest_image(architecture) if prod is not None else None,
        emails=questions.ask_list("email", "Who gets notices as e-mail", values.Email),
        schema=given["schema"],
    )


def _region(given: dict[str, Any]) -> str | None:
    return None if given["offline"] else default_region(given["profile"])


def _accounts(given: dict[str, Any], region: str) -> tuple[Account | None, Account | None]:
    """Prod's and dev's, as far as there are credentials."""
    if given["offline"] or not region:
        return None, None
    prod = Account.signed_in(given["profile"], region)
    if given["dev_profile"] is None:
        return prod, prod
    return prod, Account.signed_in(given["dev_profile"], region)


def _account(
    questions: Questions, option: str, question: str, signed_in: Account | None
) -> tuple[str, Account | None]:
    """An account's number; and the account, where the credentials are of that one."""
    held = signed_in.number if signed_in is not None else None
    kind = values.account_but(EXAMPLE_ACCOUNTS)
    number = questions.ask(option, question, kind, default=held)
    return number, signed_in if number == held else None


def _code(questions: Questions, dev: Account | None) -> tuple[str, bool, str]:
    """The repository's name, whether it is to be made, and the branch."""
    there = dev.code_repositories if dev is not None else None
    name = questions.ask(
        "repository", "CodeCommit repository", values.CodeRepositoryName, known=there or ()
    )
    create = questions.confirm(
        "create-repository",
        f"Shall the dev stack make the repository {name!r}",
        default=there is not None and name not in there,
    )
    known = dev.default_branch(name) if dev is not None and there and name in there else None
    branch = questions.ask(
        "branch", "Branch that is deployed", values.Branch, default=known or "main"
    )
    return name, create, branch


def _service(
    questions: Questions, prod: Account | None, account: str
) -> tuple[ServiceWanted | None, ServiceSeen | None]:
    """The service that runs the images, None for the sample; and what is seen of it."""
    clusters = prod.clusters if prod is not None else ()
    named = questions.answered("cluster") or questions.answered("service")
    if named and questions.says("sample"):
        raise WrongUse("--sample is a service that the stack makes: leave --cluster and --service")
    if not named and questions.confirm(
        "sample", "Deploy to a small sample service, to try it", default=False
    ):
        return None, None
    cluster = questions.ask(
        "cluster", "ECS cluster", values.EcsName, known=clusters, default=_only(clusters)
    )
    services = prod.services(cluster) if prod is not None and cluster else ()
    name = questions.ask(
        "service", "ECS service", values.EcsName, known=services, default=_only(services)
    )
    seen = prod.service(cluster, name) if prod is not None and cluster and name else None
    roles = questions.ask_list(
        "role",
        "Roles of its task definition (ARNs, with commas between)",
        values.role_of(account),
        default=seen.roles if seen else (),
    )
    wanted = ServiceWanted(
        cluster=cluster,
        name=name,
        family=seen.family if seen else None,
        roles=roles,
        code_deploy=seen.code_deploy if seen else None,
    )
    return wanted, seen


def _sample(service: ServiceWanted | None) -> ServiceSeen | None:
    """What would be seen of the sample service, which the prod stack makes."""
    if service is not None:
        return None
    return ServiceSeen("", (), {SAMPLE_CONTAINER: None}, None, None)


def _images(
    questions: Questions,
    prod: Account | None,
    seen: ServiceSeen | None,
    pipeline: str,
    *,
    exists: bool,
) -> tuple[dict[str, list[str]], set[str]]:
    """Image repositories with their containers, and those that are to be made.

    A service that `exists` has an image, so a repository is there, too.
    """
    running = seen.containers if seen else {}
    there = prod.image_repositories if prod is not None else None
    first = next((image for image in running.values() if image), None)
    repository = questions.ask(
        "image-repository",
        "ECR repository of the image",
        values.EcrName,
        known=there or (),
        default=first or pipeline,
    )
    create = questions.confirm(
        "create-image-repository",
        f"Shall the prod stack make the image repository {repository!r}",
        default=repository not in there if there is not None else not exists,
    )
    of_it = [name for name, image in running.items() if image == repository]
    alone = list(running) if len(running) == 1 else []
    containers = questions.ask_list(
        "container",
        "Containers that run it (none: those whose image is of that repository)",
        values.EcsName,
        default=of_it or alone,
    )
    return {repository: containers}, {repository} if create else set()


def _architecture(questions: Questions, seen: ServiceSeen | None) -> str:
    default = (seen.processor if seen else None) or "arm64"
    return questions.ask("architecture", "Processor (arm64 or x86_64)", Processor, default=default)


def _only(names: Sequence[str]) -> str | None:
    """The name, where there is one."""
    return names[0] if len(names) == 1 else None
