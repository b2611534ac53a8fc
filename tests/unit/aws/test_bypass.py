"""No fake of AWS escapes the one place through which answers pass."""

from __future__ import annotations

import ast

import pytest

from tests.aws.bypass import EXCUSED, bypasses, sources


def test_no_test_answers_for_aws_unseen() -> None:
    assert list(bypasses(list(sources()))) == []


def test_what_is_excused_is_there() -> None:
    excused = {name for name, _ in EXCUSED}
    assert excused <= {name for name, _ in sources()}


@pytest.mark.parametrize(
    "text",
    [
        "class Queue:\n    def receive_message(self, *, QueueUrl): return {}",
        "class Queue(Base):\n    def receive_message(self, **request): return {}",
        "class Queue:\n    delete_message_batch = receive_message = None",
        "class Queue(AwsFake, service='sqs'):\n    def receive_message(self, QueueUrl): return {}",
        "sqs = SimpleNamespace(receive_message=lambda **_: {})",
        "world.sqs.receive_message = lambda **_: {}",
        "monkeypatch.setattr(world.sqs, 'receive_message', answer)",
        "setattr(client, name, answer)",
        "patch.object(client, 'update_item', answer)",
        "monkeypatch.setattr('botocore.client.BaseClient._make_api_call', answer)",
        "monkeypatch.setattr(botocore.client.BaseClient, '_make_api_call', answer)",
        "call = BaseClient._make_api_call",
        "client.meta.events.register('before-send.ecs', answer)",
        "answer = AWSResponse(url, 200, {}, body)",
        "stubber = Stubber(client)",
        "client = mock.MagicMock()",
        "class Cloud(BaseHTTPRequestHandler):\n    def do_POST(self): pass",
    ],
)
def test_each_way_around_it_is_found(text: str) -> None:
    (found, *_) = bypasses([("tests/test_new.py", ast.parse(text))])
    assert found.startswith("tests/test_new.py:")


@pytest.mark.parametrize(
    "text",
    [
        "class Queue(AwsFake, service='sqs'):\n    def receive_message(self, *, Url): return {}",
        "class Base(AwsFake, service='sqs'): pass\n"
        "class Queue(Base):\n    def receive_message(self, **request): return {}",
        "instead(world.sqs, 'receive_message', answer)",
        "monkeypatch.setattr(worker, 'step', step)",
        "SimpleNamespace(meta=1)",
    ],
)
def test_what_passes_is_let_through(text: str) -> None:
    assert list(bypasses([("tests/test_new.py", ast.parse(text))])) == []
