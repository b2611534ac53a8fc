"""The one place through which every answer of a fake of AWS passes, and every request to it.

A fake is a class of `AwsFake`; `answered` is what its operations become, and what the scripted
wire (`tests/aws/wire.py`), moto and `World.answers` of the commands' tests go through. What AWS
cannot be asked or cannot answer is raised as `NotAws`, and kept as well: code under test may
swallow the exception, the test fails all the same (`tests/conftest.py`).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import botocore.client
import botocore.session
from botocore import xform_name
from botocore.errorfactory import ClientExceptionsFactory
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from tests.aws.errors import codes_of
from tests.aws.shapes import UNHEARD_OF, Check, Deviation, Shapes, Side

NOT_MEMBERS = frozenset({"ResponseMetadata"})
"""What botocore adds to an answer."""


class NotAws(AssertionError):
    """A request that AWS does not take, or an answer that it cannot give."""


_found: list[str] = []


def found() -> list[str]:
    """What was found since the last look; forgets it."""
    seen = list(_found)
    _found.clear()
    return seen


@contextmanager
def expected() -> Iterator[list[str]]:
    """For tests of this place: what is found within goes into the list alone."""
    before, seen = found(), []
    try:
        yield seen
    finally:
        seen += found()
        _found.extend(before)


def answered(
    service: str,
    operation: str,
    request: dict[str, Any],
    answer: Callable[[], Any],
    *,
    wire: bool = False,
) -> Any:
    """What `answer()` gives, looked at; so is `request`. `wire`: both are JSON of the wire.

    `operation` as the model names it. Raises NotAws; what `answer` raises, if AWS's client can.
    """
    return _form(service, operation, wire).answered(request, answer)


class Form:
    """One operation's request, answer and errors."""

    def __init__(self, service: str, operation: str, *, wire: bool) -> None:
        model = model_of(service).operation_model(operation)
        self._name = f"{service}.{operation}"
        self._request = _check(service, model.input_shape, "wire request" if wire else "request")
        self._answer = _check(service, model.output_shape, "wire answer" if wire else "answer")
        self._codes = codes_of(service, model)

    def answered(self, request: dict[str, Any], answer: Callable[[], Any]) -> Any:
        self.look_at_request(request)
        try:
            given = answer()
        except Exception as error:
            self.look_at_raised(error)
            raise
        self.look_at_answer(given)
        return given

    def look_at_raised(self, error: Exception) -> None:
        if isinstance(error, ClientError):
            self.look_at_error(error)
        elif not isinstance(error, (BotoCoreError, AssertionError)):
            raise self._no(f"its client does not raise {error!r}") from error

    def look_at_request(self, request: dict[str, Any]) -> None:
        self._look(self._request, request, "the request")

    def look_at_answer(self, given: Any) -> None:
        if isinstance(given, dict) and not NOT_MEMBERS.isdisjoint(given):
            given = {k: v for k, v in given.items() if k not in NOT_MEMBERS}
        self._look(self._answer, given, "the answer")

    def look_at_error(self, error: ClientError) -> None:
        self._look(self._error, error, "the error")

    def _look(self, check: Check, value: Any, what: str) -> None:
        try:
            check(value)
        except Deviation as deviation:
            raise self._no(f"{what}: {deviation}") from None

    def _no(self, why: str) -> NotAws:
        _found.append(f"{self._name}: {why}")
        return NotAws(_found[-1])

    def _error(self, error: ClientError) -> None:
        told = dict(error.response.get("Error", {}))
        if not isinstance(told.get("Code"), str) or not isinstance(told.get("Message"), str):
            raise Deviation(f"Error has Code and Message, not {told}")
        if told["Code"] not in self._codes | UNHEARD_OF:
            raise Deviation(f"{told['Code']!r} is none of {sorted(self._codes)}")


class Sample:
    """Which of a million calls are looked at: the first `ALL` of each kind, then each `THEN`th.

    The kind of a request is its number of members and its expressions. Looking at each would cost
    a simulated history three tenths more.
    """

    ALL, THEN = 50, 50

    def __init__(self) -> None:
        self._seen: dict[Any, int] = {}

    def takes(self, request: dict[str, Any]) -> bool:
        told = request.get
        kind = (len(request), told("UpdateExpression"), told("ConditionExpression"))
        self._seen[kind] = number = self._seen.get(kind, 0) + 1
        return number <= self.ALL or number % self.THEN == 0


@cache
def _form(service: str, operation: str, wire: bool) -> Form:
    return Form(service, operation, wire=wire)


@cache
def _session() -> Any:
    return botocore.session.Session()


@cache
def model_of(service: str) -> Any:
    """botocore's model of a service."""
    return _session().get_service_model(service)


@cache
def _shapes(service: str, side: Side) -> Shapes:
    return Shapes(side)


def _check(service: str, shape: Any, side: Side) -> Check:
    return _nothing if shape is None else _shapes(service, side).check_of(shape)


def _nothing(value: Any) -> None:
    if value != {}:
        raise Deviation(f"nothing is expected, not {value!r}")


@cache
def operations(service: str) -> dict[str, str]:
    """The model's name of each operation, by the name that a client's method has."""
    return {xform_name(name): name for name in model_of(service).operation_names}


@cache
def exceptions(service: str) -> Any:
    """The exception classes of a client of `service`."""
    return ClientExceptionsFactory().create_client_exceptions(model_of(service))


def refused(
    service: str, operation: str, code: str, message: str = "refused", **members: Any
) -> ClientError:
    """The error `code` as a client of `service` raises it from `operation`."""
    response = {"Error": {"Code": code, "Message": message}, **members}
    return exceptions(service).from_code(code)(response, operation)  # type: ignore[no-any-return]


class AwsFake:
    """A fake of a client: `class Fake(AwsFake, service="sqs")`.

    Each method that takes keywords only is an operation, as a client's are, and passes through
    `answered`; so does what a test puts in its place.
    """

    _service: str
    _often = False

    def __init_subclass__(cls, service: str = "", often: bool = False, **members: Any) -> None:
        """`often`: it is asked a million times. See `Sample`."""
        super().__init_subclass__(**members)
        if service:
            cls._service, cls._often = service, often
        for name, value in list(vars(cls).items()):
            if inspect.isfunction(value) and is_operation(name, value):
                setattr(cls, name, _passing(cls._service, name, value, often=cls._often))

    def __getattr__(self, name: str) -> Any:
        if name == "exceptions":
            return exceptions(self._service)
        raise AttributeError(f"{type(self).__name__} has no {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        is_operation = hasattr(getattr(type(self), name, None), "passes")
        if is_operation and not hasattr(value, "passes"):
            value = _passing(self._service, name, value, bound=True)
        object.__setattr__(self, name, value)


def is_operation(name: str, function: Any) -> bool:
    """Whether a fake's method is one of AWS: it takes nothing but keywords."""
    _self, *parameters = inspect.signature(function).parameters.values()
    keywords = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
    return (
        not name.startswith("_")
        and bool(parameters)
        and all(p.kind in keywords for p in parameters)
    )


def _passing(
    service: str, name: str, function: Any, *, bound: bool = False, often: bool = False
) -> Any:
    """`function` as the operation `name`; `bound`: it is no method but a function of its own."""
    takes = Sample().takes if often else None

    @cache
    def form() -> Form:  # loading a model takes a second: when it is needed
        if name not in operations(service):
            _found.append(f"{service} has no operation {name!r}")
            raise NotAws(_found[-1])
        return _form(service, operations(service)[name], False)

    def passing(*itself: Any, **request: Any) -> Any:
        if takes is not None and not takes(request):
            try:
                return function(*itself, **request)
            except Exception as error:
                form().look_at_raised(error)
                raise
        return form().answered(request, functools.partial(function, *itself, **request))

    if not bound:
        functools.update_wrapper(passing, function)
    passing.passes = True  # type: ignore[attr-defined]
    return passing


def instead(client: Any, name: str, function: Callable[..., Any]) -> None:
    """Have `function` answer the operation `name` of `client`, which is real or a fake."""
    service = getattr(client, "_service", None) or client.meta.service_model.service_name
    setattr(client, name, _passing(service, name, function, bound=True))


Script = Callable[[str], Callable[[dict[str, Any]], Any] | None]
"""From an operation to what answers it; None: whatever did before."""


def script_clients(monkeypatch: Any, script: Script) -> None:
    """Have `script` answer real clients, for the length of a test."""
    call = botocore.client.BaseClient._make_api_call

    def answer(self: Any, operation: str, request: dict[str, Any]) -> Any:
        scripted = script(operation)
        if scripted is None:
            return call(self, operation, request)
        service = self.meta.service_model.service_name
        return answered(service, operation, request, lambda: scripted(request))

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", answer)


def refuse_all(monkeypatch: Any, code: str, message: str = "no") -> None:
    """From now on AWS refuses with `code` whatever a real client asks, for the length of a test."""

    def script(operation: str) -> Callable[[dict[str, Any]], Any]:
        def refuse(_request: dict[str, Any]) -> Any:
            raise ClientError({"Error": {"Code": code, "Message": message}}, operation)

        return refuse

    script_clients(monkeypatch, script)


def after_answers(monkeypatch: Any, operation: str, happens: Callable[[], None]) -> None:
    """Let `happens()` follow each answer to `operation`, for the length of a test."""
    call = botocore.client.BaseClient._make_api_call

    def answer(self: Any, asked: str, request: dict[str, Any]) -> Any:
        given = call(self, asked, request)
        if asked == operation:
            happens()
        return given

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", answer)


def watch_clients() -> None:
    """From now on all that real clients of this process ask and are answered is looked at."""
    call = botocore.client.BaseClient._make_api_call

    @functools.wraps(call)
    def watched(self: Any, operation: str, request: dict[str, Any]) -> Any:
        form = _form(self.meta.service_model.service_name, operation, False)
        try:
            answer = call(self, operation, request)
        except ParamValidationError:  # it never left
            raise
        except ClientError as error:
            form.look_at_request(request)
            form.look_at_error(error)
            raise
        form.look_at_request(request)
        form.look_at_answer(answer)
        return answer

    botocore.client.BaseClient._make_api_call = watched
