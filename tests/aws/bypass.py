"""Ways by which a test could answer for AWS without passing through `tests.aws.answers`.

Found in the source of the tests, so that a new fake cannot forget to pass.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.aws.answers import operations

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
OWN_TESTS = ROOT / "tests" / "unit" / "aws"
SERVICES = (
    "cloudwatch",
    "codebuild",
    "codecommit",
    "codedeploy",
    "dynamodb",
    "ec2",
    "ecr",
    "ecs",
    "events",
    "iam",
    "lambda",
    "logs",
    "s3",
    "secretsmanager",
    "sns",
    "sqs",
    "ssm",
    "sts",
)
"""Whatever code of Slipway has a client of."""
ONLY_HERE = frozenset(
    {"AWSResponse", "_make_api_call", "Stubber", "Mock", "MagicMock", "BaseHTTPRequestHandler"}
)
"""Names by which botocore, and anything at all, is made to answer."""
HANDLER = "BaseHTTPRequestHandler"
EXCUSED = {
    ("tests/simulation/functions.py", "Functions.invoke"): "it invokes the handlers themselves",
    ("tests/simulation/test_scenarios.py", "setattr"): "of Slipway's own parts, not of a client",
    ("bench/contenders/drain.py", "before-send"): "it counts and waits, and answers nothing",
    ("tests/machine/cloud.py", "Cloud.publish"): "it puts an archive where the host finds it",
    ("tests/machine/cloud.py", HANDLER): "calls go through `reply`; metadata and an object besides",
    (
        "tests/unit/build_agent/host/test_identity.py",
        HANDLER,
    ): "the metadata service, which is in no model",
    ("tests/docker_builds.py", HANDLER): "a registry",
    (
        "tests/unit/slipway/following/test_between_steps.py",
        "setattr",
    ): "the call is made as it is; the process dies before it or after it",
}
"""What only looks like an answer of AWS: file, what is found, why it is none."""


def sources() -> Iterator[tuple[str, ast.Module]]:
    """Each file that may hold a fake: its path below the root, and its tree."""
    for folder in ("tests", "bench"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if HERE not in path.parents and OWN_TESTS not in path.parents:
                yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())


def bypasses(trees: list[tuple[str, ast.Module]]) -> Iterator[str]:
    """`file:line what` of everything that could answer for AWS unseen."""
    fakes = _fakes([tree for _, tree in trees])
    for name, tree in trees:
        for node in ast.walk(tree):
            for what, why in _of(node, fakes):
                if (name, what) not in EXCUSED:
                    yield f"{name}:{getattr(node, 'lineno', 0)} {what}: {why}"


def _fakes(trees: list[ast.Module]) -> frozenset[str]:
    """Names of the classes that are of `AwsFake`, also through one another."""
    classes = [n for tree in trees for n in ast.walk(tree) if isinstance(n, ast.ClassDef)]
    fakes, before = {"AwsFake"}, set[str]()
    while fakes != before:
        before = set(fakes)
        fakes |= {c.name for c in classes if _bases(c) & fakes}
    return frozenset(fakes)


def _bases(node: ast.ClassDef) -> set[str]:
    return {b.id for b in node.bases if isinstance(b, ast.Name)}


@cache
def operation_names() -> frozenset[str]:
    """Names of a client's methods, of every service."""
    return frozenset(name for service in SERVICES for name in operations(service))


Found = Iterator[tuple[str, str]]
"""What was found, and why it is none of the ways that are looked at."""


def _of(node: ast.AST, fakes: frozenset[str]) -> Found:
    if isinstance(node, ast.ClassDef):
        yield from _of_class(node, is_fake=bool(_bases(node) & fakes))
    elif isinstance(node, ast.Call):
        yield from _of_call(node)
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Attribute) and _is_operation(target.attr):
                yield target.attr, "`instead` puts something in its place"
    elif isinstance(node, ast.Name | ast.Attribute):
        name = node.id if isinstance(node, ast.Name) else node.attr
        if name in ONLY_HERE:
            yield name, "only in tests/aws"
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        for name in ("before-send", "_make_api_call"):
            if name in node.value:
                yield name, "only in tests/aws"


def _of_class(node: ast.ClassDef, *, is_fake: bool) -> Found:
    for part in node.body:
        for name in filter(_is_operation, _defined(part)):
            what = f"{node.name}.{name}"
            if not is_fake:
                yield what, "a fake's class is of AwsFake"
            elif isinstance(part, ast.FunctionDef) and part.args.args[1:]:
                yield what, "an operation takes keywords only"


def _defined(part: ast.stmt) -> list[str]:
    if isinstance(part, ast.FunctionDef):
        return [part.name]
    if isinstance(part, ast.Assign):
        return [t.id for t in part.targets if isinstance(t, ast.Name)]
    return []


def _of_call(node: ast.Call) -> Found:
    called = getattr(node.func, "attr", None) or getattr(node.func, "id", None)
    if called == "SimpleNamespace":
        for keyword in node.keywords:
            if keyword.arg and _is_operation(keyword.arg):
                yield keyword.arg, "a fake's class is of AwsFake"
    if called in ("setattr", "object") and len(node.args) == 3:
        name = node.args[1]
        if not isinstance(name, ast.Constant):
            yield "setattr", "of a name that is not written out"
        elif _is_operation(str(name.value)):
            yield str(name.value), "`instead` puts something in its place"


def _is_operation(name: str) -> bool:
    return name in operation_names()
