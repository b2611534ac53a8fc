"""Gap closed: the image registry lets everybody in, and repository addresses lead nowhere.

* A login needs a token of GetAuthorizationToken; what the token's owner may do, IAM decides for
  each request (`ecr:PutImage`, `ecr:BatchGetImage` …), as in ECR.
* ECS pulls, and writes the containers' logs, as the task definition's execution role.
* `repositoryUri` and the login's `proxyEndpoint` are the emulator's own address, where the images
  are; a task definition that has the `…amazonaws.com` name is pulled from there too.
* `IMMUTABLE_WITH_EXCLUSION` is enforced.
"""

from __future__ import annotations

import base64
import contextvars
import fnmatch
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from ministack import app
from ministack.core import iam_evaluator, router
from ministack.core.responses import (
    get_account_id,
    get_region,
    json_response,
    set_request_account_id,
    set_request_region,
)
from ministack.services import ecr, ecs, iam
from ministack.services.cloudformation import provisioners

from local.emulator.extension.git_credentials import account_of, parse_basic
from local.emulator.extension.imds import mint_session
from local.emulator.extension.private import entry, need, replace, wrap
from local.emulator.extension.roles import Roles
from local.emulator.settings import EmulatorSettings
from slipway.contracts.errors import WorldFailed

Data = dict[str, Any]
Response = tuple[int, dict[str, str], bytes]

TOKEN_SECONDS = 12 * 3600
PULL_SECONDS = 900
AWS_REGISTRY = re.compile(r"(\d{12})\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com/(.+)")

_access_key: contextvars.ContextVar[str] = contextvars.ContextVar("slipway_access_key", default="")
_pulling_role: contextvars.ContextVar[str] = contextvars.ContextVar("slipway_role", default="")


@dataclass(frozen=True)
class Login:
    """Who a registry token stands for; no access key: the emulator itself, which may pull all."""

    account: str
    access_key: str
    expires: float


class Logins:
    """The registry tokens that are out."""

    def __init__(self) -> None:
        self._logins: dict[str, Login] = {}

    def give(self, account: str, access_key: str, seconds: float) -> str:
        """A new token for the owner of `access_key`."""
        token = secrets.token_urlsafe(48)
        now = time.time()
        self._logins = {key: login for key, login in self._logins.items() if login.expires > now}
        self._logins[token] = Login(account, access_key, now + seconds)
        return token

    def of(self, authorization: str) -> Login | None:
        """The login of a basic Authorization header, user name `AWS`."""
        given = parse_basic(authorization)
        if given is None or given[0] != "AWS":
            return None
        login = self._logins.get(given[1])
        return login if login is not None and login.expires > time.time() else None


def registry_action(method: str, path: str) -> str | None:
    """The IAM action that ECR asks for a registry request; None for a mere login."""
    if "/manifests/" in path:
        return "ecr:PutImage" if method == "PUT" else "ecr:BatchGetImage"
    if "/blobs/uploads" in path:
        upload = {"POST": "ecr:InitiateLayerUpload", "PUT": "ecr:CompleteLayerUpload"}
        return upload.get(method, "ecr:UploadLayerPart")
    if "/blobs/" in path:
        checks = {"HEAD": "ecr:BatchCheckLayerAvailability"}
        return checks.get(method, "ecr:GetDownloadUrlForLayer")
    if path.endswith("/tags/list"):
        return "ecr:ListImages"
    return None


def repository_name(path: str) -> str:
    """The repository in `/v2/<name>/manifests/…`, `/v2/<name>/blobs/…`, `/v2/<name>/tags/list`."""
    return re.split(r"/(?:manifests|blobs|tags)(?:/|$)", path.removeprefix("/v2/"))[0]


def local_image(image: str, address: str) -> str:
    """An image of an ECR registry by the name under which the emulator serves it."""
    found = AWS_REGISTRY.fullmatch(image)
    return f"{address}/{found.group(2)}" if found else image


def is_immutable(repository: Data, tag: str) -> bool:
    """Whether a tag that exists may not move to another image."""
    if repository.get("imageTagMutability") == "IMMUTABLE":
        return True
    if repository.get("imageTagMutability") != "IMMUTABLE_WITH_EXCLUSION":
        return False
    patterns = [
        exclusion["filter"]
        for exclusion in repository.get("imageTagMutabilityExclusionFilters", [])
    ]
    return not any(fnmatch.fnmatchcase(tag, pattern) for pattern in patterns)


class Registry:
    """The registry's door, and ECR's part in it."""

    def __init__(self, settings: EmulatorSettings) -> None:
        self._settings = settings
        self._logins = Logins()
        self._roles = Roles("ecs-execution")

    # -- ECR's API ----------------------------------------------------------------------------

    def authorization_token(self, _data: Data) -> Response:
        """GetAuthorizationToken: 12 hours, for the caller."""
        access_key = _access_key.get()
        account = account_of(access_key, self._settings.prod_account)
        token = self._logins.give(account, access_key, TOKEN_SECONDS)
        response: Response = json_response(
            {
                "authorizationData": [
                    {
                        "authorizationToken": base64.b64encode(f"AWS:{token}".encode()).decode(),
                        "expiresAt": int(time.time()) + TOKEN_SECONDS,
                        "proxyEndpoint": self._settings.endpoint_url,
                    }
                ]
            }
        )
        return response

    def repository_uri(self, name: str) -> str:
        return f"{self._settings.address}/{name}"

    # -- the registry -------------------------------------------------------------------------

    def guarding(self, handle: Callable[..., Awaitable[Response]]) -> Callable[..., Any]:
        """Ask for a login, then IAM, then let ministack answer."""

        async def handled(
            method: str, path: str, headers: Data, body: bytes, query: Data
        ) -> Response:
            login = self._logins.of(headers.get("authorization", ""))
            if login is None:
                return self._unauthorized()
            set_request_account_id(login.account)
            set_request_region(self._settings.region)
            denied = self._denied(login, method.upper(), path)
            if denied:
                return _registry_error(403, "DENIED", denied)
            if method.upper() == "PUT" and "/manifests/" in path:
                frozen = _frozen_tag(path, body)
                if frozen:
                    return _registry_error(400, "TAG_INVALID", frozen)
            return await handle(method, path, headers, body, query)

        return handled

    def _unauthorized(self) -> Response:
        status, headers, body = _registry_error(401, "UNAUTHORIZED", "authentication required")
        realm = f'Basic realm="{self._settings.endpoint_url}/",service="ecr.amazonaws.com"'
        return status, {**headers, "WWW-Authenticate": realm}, body

    def _denied(self, login: Login, method: str, path: str) -> str | None:
        action = registry_action(method, path)
        if action is None or not login.access_key:
            return None
        region = self._settings.region
        arn = f"arn:aws:ecr:{region}:{login.account}:repository/{repository_name(path)}"
        refused = iam_evaluator.enforce(login.access_key, action, "ecr", region, resource_arn=arn)
        if refused is None:
            return None
        who = getattr(refused, "principal_arn", "") or "the login's owner"
        return f"{who} is not authorized to perform: {action} on resource: {arn}"

    # -- pulls by ECS -------------------------------------------------------------------------

    def starting(self, start: Callable[..., Any]) -> Callable[..., Any]:
        """A task's images come from here, pulled as its execution role."""

        def started(task: Data, definition: Data, *rest: Any) -> Any:
            for container in definition.get("containerDefinitions", []):
                container["image"] = local_image(container["image"], self._settings.address)
            token = _pulling_role.set(definition.get("executionRoleArn") or "")
            try:
                return start(task, definition, *rest)
            finally:
                _pulling_role.reset(token)

        return started

    def credentials(self, resolve: Callable[[Data], Data | None]) -> Callable[[Data], Data | None]:
        """The login with which a container's image is pulled."""

        def resolved(container: Data) -> Data | None:
            given = resolve(container)
            if given or not container.get("image", "").startswith(f"{self._settings.address}/"):
                return given
            return {"username": "AWS", "password": self._pull_token()}

        return resolved

    def _pull_token(self) -> str:
        execution_role = _pulling_role.get()
        if not execution_role:
            return self._logins.give(self._settings.prod_account, "", PULL_SECONDS)
        account, name = execution_role.split(":")[4], execution_role.rpartition("/")[2]
        role = iam._roles.get_scoped(account, None, name)
        if role is None:
            raise ecs._ImagePullError(f"the execution role {execution_role} does not exist")
        session = mint_session(account, role, "ecs-pull", PULL_SECONDS)
        if not self._roles.may(execution_role, "ecr:GetAuthorizationToken", "*"):
            raise ecs._ImagePullError(
                f"{execution_role} is not authorized to perform: ecr:GetAuthorizationToken"
            )
        return self._logins.give(account, session["access_key"], PULL_SECONDS)

    def pulling(self, run: Callable[..., Any]) -> Callable[..., Any]:
        """Pull with the login for a single task too, which ministack leaves to Docker."""

        def pulled(client: Any, container: Data, run_arguments: Data, **options: Any) -> Any:
            image = container.get("image", "")
            if image.startswith(f"{self._settings.address}/"):
                name = re.split("[:@]", image.removeprefix(f"{self._settings.address}/"))[0]
                options["refresh_image"] = True
                options["auth_config"] = ecs._resolve_repository_credentials(container)
                if name in ecr._repositories:
                    # The daemon that built an image has it anyway; AWS's would have to pull it.
                    options["allow_cached"] = False
                    self._require_pull(_pulling_role.get(), name)
            return run(client, container, run_arguments, **options)

        return pulled

    def _require_pull(self, execution_role: str, name: str) -> None:
        region, account = get_region(), get_account_id()
        arn = f"arn:aws:ecr:{region}:{account}:repository/{name}"
        for action in ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"):
            if execution_role and not self._roles.may(execution_role, action, arn):
                raise ecs._ImagePullError(
                    f"{execution_role} is not authorized to perform: {action} on resource: {arn}"
                )

    def logging(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        """A container with the awslogs driver does not start unless its role may write there."""

        def forwarded(container: Any, definition: Data, task_id: str) -> Any:
            config = ecs._awslogs_config(definition, task_id, container.id)
            execution_role = _pulling_role.get()
            if config and execution_role:
                region, account = config["region"] or get_region(), get_account_id()
                group = f"arn:aws:logs:{region}:{account}:log-group:{config['group']}"
                stream = f"{group}:log-stream:{config['stream']}"
                for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
                    if not self._roles.may(execution_role, action, stream):
                        raise WorldFailed(
                            "failed to validate logger args: AccessDeniedException: "
                            f"{execution_role} is not authorized to perform: {action} on {stream}"
                        )
            return forward(container, definition, task_id)

        return forwarded


def _frozen_tag(path: str, body: bytes) -> str | None:
    name, reference = repository_name(path), path.rpartition("/")[2]
    repository = ecr._repositories.get(name) or {}
    if reference.startswith("sha256:") or not is_immutable(repository, reference):
        return None
    digest = ecr._content_digest(body)
    taken = any(
        reference in image.get("imageTags", []) and image.get("imageDigest") != digest
        for image in ecr._images.get(name, [])
    )
    return f"The image tag '{reference}' already exists and is immutable" if taken else None


def _registry_error(status: int, code: str, message: str) -> Response:
    response: Response = ecr._registry_error(status, code, message, {})
    return response


def _remembering_key(
    dispatch: Callable[..., Awaitable[Response]],
) -> Callable[..., Awaitable[Response]]:
    """GetAuthorizationToken's handler is not told who calls."""

    async def dispatched(
        method: str, path: str, headers: Data, body: bytes, query: Data, *rest: Any
    ) -> Response:
        _access_key.set(router.extract_access_key_id(headers, query))
        return await dispatch(method, path, headers, body, query, *rest)

    return dispatched


def _keep_exclusions(handlers: Data) -> Data:
    """CloudFormation's exclusion filters, which ministack drops."""

    def keep(name: str, properties: Data) -> None:
        ecr._repositories[name]["imageTagMutabilityExclusionFilters"] = [
            {
                "filterType": given["ImageTagMutabilityExclusionFilterType"],
                "filter": given["ImageTagMutabilityExclusionFilterValue"],
            }
            for given in properties.get("ImageTagMutabilityExclusionFilters") or []
        ]

    def create(logical_id: str, properties: Data, stack: str) -> Any:
        name, attributes = handlers["create"](logical_id, properties, stack)
        keep(name, properties)
        return name, attributes

    def update(physical_id: str, old: Data, new: Data, *rest: Any) -> Any:
        name, attributes = handlers["update"](physical_id, old, new, *rest)
        keep(name, new)
        return name, attributes

    return {**handlers, "create": create, "update": update}


def install(settings: EmulatorSettings) -> None:
    """Put the door in."""
    registry = Registry(settings)
    for name in ("_repositories", "_images", "_registry_error", "_content_digest"):
        need(ecr, name)
    need(ecs, "_ImagePullError")
    need(ecs, "_awslogs_config")
    replace(ecr, "_get_authorization_token", registry.authorization_token)
    replace(ecr, "_repo_uri", registry.repository_uri)
    wrap(ecr, "handle_registry_request", registry.guarding)
    wrap(ecs, "_start_task_worker", registry.starting)
    wrap(ecs, "_resolve_repository_credentials", registry.credentials)
    wrap(ecs, "_run_docker_container", registry.pulling)
    wrap(ecs, "_start_awslogs_forwarder", registry.logging)
    wrap(app, "_dispatch_service_request", _remembering_key)
    handlers = need(provisioners, "_RESOURCE_HANDLERS")["AWS::ECR::Repository"]
    entry(provisioners, "_RESOURCE_HANDLERS", "AWS::ECR::Repository", _keep_exclusions(handlers))
