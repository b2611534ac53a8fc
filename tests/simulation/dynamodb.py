"""DynamoDB in memory: what `slipway.contracts.table` uses of it, and no more.

Expressions are compiled once to closures. `tests/simulation/test_dynamodb.py` holds this against
moto. Items are kept in the typed form in which they come and are never changed in place.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

from tests.aws.answers import AwsFake, refused

Item = dict[str, Any]
Names = dict[str, str]
Test = Callable[[Item, Names, Item], bool]
Change = Callable[[Item, Item, Names, Item], None]

_TOKEN = re.compile(r"\s*(<>|<=|>=|[=<>(),]|[:#]?[A-Za-z_][\w.#]*)")
_MISSING: Any = None


class FakeDynamoDB(AwsFake, service="dynamodb", often=True):
    """One table whatever its name; `rows` by partition key, then sort key.

    `refused`: writes whose condition did not hold.
    """

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Item]] = {}
        self.refused = 0

    # --- reading

    def get_item(self, *, TableName: str, Key: Item, ConsistentRead: bool) -> dict[str, Any]:
        assert ConsistentRead
        item = self._find(Key)
        return {"Item": item} if item is not None else {}

    def query(
        self,
        *,
        TableName: str,
        KeyConditionExpression: str,
        ExpressionAttributeValues: Item,
        ConsistentRead: bool,
        ScanIndexForward: bool,
        Limit: int = 0,
    ) -> dict[str, Any]:
        assert ConsistentRead
        partition = self.rows.get(ExpressionAttributeValues[":pk"]["S"], {})
        wanted = compiled_condition(KeyConditionExpression)
        keys = sorted(partition, reverse=not ScanIndexForward)
        items = [partition[k] for k in keys]
        found = [item for item in items if wanted(item, {}, ExpressionAttributeValues)]
        return {"Items": found[:Limit] if Limit else found}

    def batch_get_item(self, *, RequestItems: dict[str, Any]) -> dict[str, Any]:
        ((table, request),) = RequestItems.items()
        assert request["ConsistentRead"]
        items = [self._find(key) for key in request["Keys"]]
        return {"Responses": {table: [item for item in items if item is not None]}}

    # --- writing

    def put_item(self, *, TableName: str, Item: Item, **expressions: Any) -> dict[str, Any]:
        self._check(Item, expressions)
        self._store(Item)
        return {}

    def update_item(
        self, *, TableName: str, Key: Item, UpdateExpression: str, **expressions: Any
    ) -> dict[str, Any]:
        before = self._check(Key, expressions)
        self._update(before, Key=Key, UpdateExpression=UpdateExpression, **expressions)
        return {}

    def _update(
        self, before: Item | None, *, Key: Item, UpdateExpression: str, **expressions: Any
    ) -> None:
        after = dict(before) if before is not None else dict(Key)
        names = expressions.get("ExpressionAttributeNames", {})
        values = expressions.get("ExpressionAttributeValues", {})
        for change in compiled_update(UpdateExpression):
            change(before or {}, after, names, values)
        self._store(after)

    def delete_item(self, *, TableName: str, Key: Item, **expressions: Any) -> dict[str, Any]:
        self._check(Key, expressions)
        self.rows.get(Key["pk"]["S"], {}).pop(Key["sk"]["S"], None)
        return {}

    def transact_write_items(self, *, TransactItems: list[dict[str, Any]]) -> dict[str, Any]:
        codes = []
        for entry in TransactItems:
            ((kind, request),) = entry.items()
            held = self._holds(request["Item" if kind == "Put" else "Key"], request)
            codes.append("None" if held else "ConditionalCheckFailed")
        if set(codes) != {"None"}:
            self.refused += 1
            reasons = [{"Code": code} for code in codes]
            raise refused(
                "dynamodb",
                "TransactWriteItems",
                "TransactionCanceledException",
                CancellationReasons=reasons,
            )
        for entry in TransactItems:
            ((kind, request),) = entry.items()
            if kind == "Put":
                self._store(request["Item"])
            elif kind == "Update":
                self._update(self._find(request["Key"]), **request)
            elif kind == "Delete":
                self.rows.get(request["Key"]["pk"]["S"], {}).pop(request["Key"]["sk"]["S"], None)
        return {}

    def _find(self, key: Item) -> Item | None:
        return self.rows.get(key["pk"]["S"], {}).get(key["sk"]["S"])

    def _store(self, item: Item) -> None:
        self.rows.setdefault(item["pk"]["S"], {})[item["sk"]["S"]] = item

    def _check(self, key: Item, expressions: dict[str, Any]) -> Item | None:
        if not self._holds(key, expressions):
            self.refused += 1
            raise refused("dynamodb", "Write", "ConditionalCheckFailedException")
        return self._find(key)

    def _holds(self, key: Item, expressions: dict[str, Any]) -> bool:
        condition = expressions.get("ConditionExpression")
        if condition is None:
            return True
        return compiled_condition(condition)(
            self._find(key) or {},
            expressions.get("ExpressionAttributeNames", {}),
            expressions.get("ExpressionAttributeValues", {}),
        )


# --- expressions


class _Tokens:
    def __init__(self, text: str) -> None:
        self.tokens = _TOKEN.findall(text)
        rest = _TOKEN.sub("", text).strip()
        if rest:
            raise ValueError(f"cannot read {rest!r} in expression {text!r}")
        self.at = 0

    @property
    def next(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, wanted: str = "") -> str:
        token = self.next
        if wanted and token != wanted:
            raise ValueError(f"{wanted!r} expected, not {token!r}")
        self.at += 1
        return token


@functools.cache
def compiled_condition(text: str) -> Test:
    tokens = _Tokens(text)
    test = _or(tokens)
    if tokens.next:
        raise ValueError(f"unexpected {tokens.next!r} in {text!r}")
    return test


def _or(tokens: _Tokens) -> Test:
    tests = [_and(tokens)]
    while tokens.next == "OR":
        tokens.take()
        tests.append(_and(tokens))
    return functools.reduce(_either, tests)


def _either(one: Test, other: Test) -> Test:
    return lambda i, n, v: one(i, n, v) or other(i, n, v)


def _and(tokens: _Tokens) -> Test:
    tests = [_atom(tokens)]
    while tokens.next == "AND":
        tokens.take()
        tests.append(_atom(tokens))
    return functools.reduce(_both, tests)


def _both(one: Test, other: Test) -> Test:
    return lambda i, n, v: one(i, n, v) and other(i, n, v)


def _atom(tokens: _Tokens) -> Test:
    if tokens.next == "(":
        tokens.take()
        test = _or(tokens)
        tokens.take(")")
        return test
    if tokens.next in ("attribute_exists", "attribute_not_exists"):
        exists = tokens.take() == "attribute_exists"
        tokens.take("(")
        operand = _operand(tokens.take())
        tokens.take(")")
        return lambda i, n, v: (operand(i, n, v) is not None) == exists
    if tokens.next == "begins_with":
        tokens.take()
        tokens.take("(")
        whole = _operand(tokens.take())
        tokens.take(",")
        start = _operand(tokens.take())
        tokens.take(")")
        return lambda i, n, v: whole(i, n, v)["S"].startswith(start(i, n, v)["S"])
    return _comparison(_operand(tokens.take()), tokens.take(), _operand(tokens.take()))


def _comparison(left: Any, operator: str, right: Any) -> Test:
    if operator in ("=", "<>"):
        wanted = operator == "="
        return lambda i, n, v: _equal(left(i, n, v), right(i, n, v)) == wanted
    compare = {
        "<": lambda a, b: a < b,
        "<=": lambda a, b: a <= b,
        ">": lambda a, b: a > b,
        ">=": lambda a, b: a >= b,
    }[operator]

    def test(item: Item, names: Names, values: Item) -> bool:
        a, b = left(item, names, values), right(item, names, values)
        if a is None or b is None:
            return False
        ((kind, x),), ((other, y),) = a.items(), b.items()
        if kind != other:
            return False
        return compare(float(x), float(y)) if kind == "N" else compare(x, y)

    return test


def _equal(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return False
    if "N" in a and "N" in b:
        return float(a["N"]) == float(b["N"])
    return bool(a == b)


def _operand(token: str) -> Callable[[Item, Names, Item], Any]:
    if token.startswith(":"):
        return lambda item, names, values: values[token]
    path = token.split(".")
    if len(path) == 1:
        if token.startswith("#"):
            return lambda item, names, values: item.get(names[token])
        return lambda item, names, values: item.get(token)

    def look_up(item: Item, names: Names, values: Item) -> Any:
        found: Any = {"M": item}
        for part in path:
            found = found.get("M", {}).get(_name(part, names)) if found else _MISSING
        return found

    return look_up


def _name(part: str, names: Names) -> str:
    return names[part] if part.startswith("#") else part


@functools.cache
def compiled_update(text: str) -> list[Change]:
    tokens = _Tokens(text)
    changes: list[Change] = []
    while tokens.next:
        clause = tokens.take()
        read = {"SET": _set, "REMOVE": _remove, "ADD": _add}[clause]
        changes.append(read(tokens))
        while tokens.next == ",":
            tokens.take()
            changes.append(read(tokens))
    return changes


def _set(tokens: _Tokens) -> Change:
    path = tokens.take().split(".")
    tokens.take("=")
    value = _value(tokens)
    if len(path) == 1:
        (member,) = path

        def change_member(before: Item, after: Item, names: Names, values: Item) -> None:
            after[_name(member, names)] = value(before, names, values)

        return change_member

    def change(before: Item, after: Item, names: Names, values: Item) -> None:
        _assign(after, [_name(p, names) for p in path], value(before, names, values))

    return change


def _value(tokens: _Tokens) -> Callable[[Item, Names, Item], Any]:
    if tokens.next != "if_not_exists":
        return _operand(tokens.take())
    tokens.take()
    tokens.take("(")
    old = _operand(tokens.take())
    tokens.take(",")
    new = _operand(tokens.take())
    tokens.take(")")

    def pick(item: Item, names: Names, values: Item) -> Any:
        found = old(item, names, values)
        return new(item, names, values) if found is None else found

    return pick


def _assign(item: Item, path: list[str], value: Any) -> None:
    for part in path[:-1]:
        if part not in item:
            raise refused("dynamodb", "UpdateItem", "ValidationException")
        item[part] = {"M": dict(item[part]["M"])}
        item = item[part]["M"]
    item[path[-1]] = value


def _remove(tokens: _Tokens) -> Change:
    name = tokens.take()
    return lambda before, after, names, values: after.pop(_name(name, names), None) and None


def _add(tokens: _Tokens) -> Change:
    name, operand = tokens.take(), _operand(tokens.take())

    def change(before: Item, after: Item, names: Names, values: Item) -> None:
        key = _name(name, names)
        total = float(before.get(key, {"N": "0"})["N"]) + float(operand(before, names, values)["N"])
        after[key] = {"N": repr(int(total) if total.is_integer() else total)}

    return change
