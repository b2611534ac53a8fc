"""DynamoDB in the few operations that the rows need, with plain values in and out.

The client (boto3's low-level `dynamodb`) comes in as an argument, so that this stays standard
library only and a simulation can put its own in its place. A condition that does not hold is an
answer (`False`), not an error; everything else that the client raises passes through.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from slipway.contracts.errors import WorldFailed

Values = Mapping[str, Any]

BATCH_GET = 100  # keys in one BatchGetItem
TRANSACTION = 100  # actions in one TransactWriteItems (same)
TRANSACTION_TRIES = 5


def to_attribute(value: Any) -> dict[str, Any]:
    """The typed DynamoDB value of str, bool, int, float, None, list, tuple or dict."""
    match value:
        case str():
            return {"S": value}
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case int() | float():
            return {"N": repr(value)}
        case list() | tuple():
            return {"L": [to_attribute(item) for item in value]}
        case dict():
            return {"M": {key: to_attribute(item) for key, item in value.items()}}
    raise TypeError(f"no DynamoDB value for {type(value).__name__}")


def from_attribute(attribute: Mapping[str, Any]) -> Any:
    """The plain value of a typed DynamoDB value; a number without a fraction is an int."""
    ((kind, value),) = attribute.items()
    match kind:
        case "S" | "BOOL":
            return value
        case "NULL":
            return None
        case "N":
            return int(value) if value.lstrip("-").isdigit() else float(value)
        case "L":
            return [from_attribute(item) for item in value]
        case "M":
            return {key: from_attribute(item) for key, item in value.items()}
    return value


def to_item(values: Values) -> dict[str, Any]:
    """Values as DynamoDB's attributes; None is left out."""
    return {key: to_attribute(value) for key, value in values.items() if value is not None}


def from_item(item: Mapping[str, Any]) -> dict[str, Any]:
    """DynamoDB's attributes as values."""
    return {key: from_attribute(value) for key, value in item.items()}


@dataclass(frozen=True)
class Write:
    """One write of a transaction, under a condition: `put`, `update`, `delete` or `check`.

    `values` is the item, or for all but `put` its key; `expression` is an update's.
    """

    kind: str
    values: Values
    condition: str | None = None
    names: Mapping[str, str] | None = None
    parameters: Values | None = None
    expression: str | None = None


class Store:
    """One table; primary key `pk` (partition) and `sk` (sort), both strings."""

    def __init__(self, client: Any, table: str) -> None:
        self.client = client
        self.table = table

    def get(self, pk: str, sk: str) -> dict[str, Any] | None:
        """The item, read consistently, or None."""
        answer = self.client.get_item(
            TableName=self.table, Key=to_item({"pk": pk, "sk": sk}), ConsistentRead=True
        )
        item = answer.get("Item")
        return from_item(item) if item else None

    def query(
        self, pk: str, *, limit: int = 0, newest: bool = False, beginning: str = ""
    ) -> list[dict[str, Any]]:
        """The items of a partition in order of `sk`, read consistently, all pages.

        `limit` above 0 stops early. `beginning`: only items whose `sk` begins so.
        """
        request: dict[str, Any] = {
            "TableName": self.table,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": to_item({":pk": pk}),
            "ConsistentRead": True,
            "ScanIndexForward": not newest,
        }
        if beginning:
            request["KeyConditionExpression"] += " AND begins_with(sk, :beginning)"
            request["ExpressionAttributeValues"] |= to_item({":beginning": beginning})
        if limit:
            request["Limit"] = limit
        found: list[dict[str, Any]] = []
        while True:
            answer = self.client.query(**request)
            found += [from_item(item) for item in answer.get("Items", [])]
            if (limit and len(found) >= limit) or not answer.get("LastEvaluatedKey"):
                return found[:limit] if limit else found
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def newest_first(
        self, pk: str, *, page: int, having: Mapping[str, Collection[str]] | None = None
    ) -> Iterator[dict[str, Any]]:
        """The items of a partition from the highest `sk` down, read consistently.

        `page` items are read a call, and no call is made before its items are asked for: who stops
        early pays less. `having` (member to the values it may have) leaves out the others, which
        are read but not sent.
        """
        request: dict[str, Any] = {
            "TableName": self.table,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": to_item({":pk": pk}),
            "ConsistentRead": True,
            "ScanIndexForward": False,
            "Limit": page,
            **_filter(having or {}, {":pk": pk}),
        }
        while True:
            answer = self.client.query(**request)
            yield from (from_item(item) for item in answer.get("Items", []))
            if not answer.get("LastEvaluatedKey"):
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def get_many(self, keys: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
        """The items that exist among `keys`, read consistently, in no order."""
        wanted = [to_item({"pk": pk, "sk": sk}) for pk, sk in dict.fromkeys(keys)]
        found: list[dict[str, Any]] = []
        while wanted:
            batch, wanted = wanted[:BATCH_GET], wanted[BATCH_GET:]
            answer = self.client.batch_get_item(
                RequestItems={self.table: {"Keys": batch, "ConsistentRead": True}}
            )
            found += [from_item(i) for i in answer.get("Responses", {}).get(self.table, [])]
            wanted += answer.get("UnprocessedKeys", {}).get(self.table, {}).get("Keys", [])
        return found

    def put(
        self,
        values: Values,
        *,
        condition: str | None = None,
        names: Mapping[str, str] | None = None,
        parameters: Values | None = None,
    ) -> bool:
        """Write the whole item; False if `condition` does not hold."""
        return self._conditional(
            self.client.put_item,
            Item=to_item(values),
            **_expressions(condition, names, parameters),
        )

    def update(
        self,
        pk: str,
        sk: str,
        expression: str,
        *,
        condition: str | None = None,
        names: Mapping[str, str] | None = None,
        parameters: Values | None = None,
    ) -> bool:
        """Apply an update expression; False if `condition` does not hold."""
        return self._conditional(
            self.client.update_item,
            Key=to_item({"pk": pk, "sk": sk}),
            UpdateExpression=expression,
            **_expressions(condition, names, parameters),
        )

    def delete(
        self,
        pk: str,
        sk: str,
        *,
        condition: str | None = None,
        names: Mapping[str, str] | None = None,
        parameters: Values | None = None,
    ) -> bool:
        """Delete the item if it is there; False if `condition` does not hold."""
        return self._conditional(
            self.client.delete_item,
            Key=to_item({"pk": pk, "sk": sk}),
            **_expressions(condition, names, parameters),
        )

    def put_many(self, items: Iterable[Values]) -> None:
        """Write items without conditions, a hundred in one transaction.

        BatchWriteItem takes only 25 of them and costs half; draining a long queue waits for calls.
        """
        writes = [Write("put", values) for values in items]
        while writes:
            hundred, writes = writes[:TRANSACTION], writes[TRANSACTION:]
            self.transact(hundred)

    def transact(self, writes: Iterable[Write]) -> bool:
        """All writes or none; False if a condition does not hold.

        Another write under way on one of the items says nothing about the conditions: it is tried
        again, and WorldFailed after `TRANSACTION_TRIES`, for the caller's caller to retry.
        """
        items = [self._transact_item(write) for write in writes]
        for _ in range(TRANSACTION_TRIES):
            try:
                self.client.transact_write_items(TransactItems=items)
                return True
            except self.client.exceptions.TransactionCanceledException as error:
                reasons = {r.get("Code") for r in error.response.get("CancellationReasons", [])}
                if "ConditionalCheckFailed" in reasons:
                    return False
                if "TransactionConflict" not in reasons:
                    raise
        raise WorldFailed(f"table {self.table}: other writes were under way each time")

    def _transact_item(self, write: Write) -> dict[str, Any]:
        expressions = _expressions(write.condition, write.names, write.parameters)
        if write.kind == "put":
            return {"Put": {"TableName": self.table, "Item": to_item(write.values), **expressions}}
        if write.kind == "update":
            return {
                "Update": {
                    "TableName": self.table,
                    "Key": to_item(write.values),
                    "UpdateExpression": write.expression,
                    **expressions,
                }
            }
        kind = {"delete": "Delete", "check": "ConditionCheck"}[write.kind]
        return {kind: {"TableName": self.table, "Key": to_item(write.values), **expressions}}

    def _conditional(self, call: Any, **request: Any) -> bool:
        try:
            call(TableName=self.table, **request)
        except self.client.exceptions.ConditionalCheckFailedException:
            return False
        return True


def _expressions(
    condition: str | None, names: Mapping[str, str] | None, parameters: Values | None
) -> dict[str, Any]:
    request: dict[str, Any] = {}
    if condition:
        request["ConditionExpression"] = condition
    if names:
        request["ExpressionAttributeNames"] = dict(names)
    if parameters:
        request["ExpressionAttributeValues"] = {k: to_attribute(v) for k, v in parameters.items()}
    return request


def _filter(having: Mapping[str, Collection[str]], values: Values) -> dict[str, Any]:
    """A FilterExpression of members that have one of some values; nothing for an empty one."""
    if not having:
        return {}
    clauses, named = [], dict(values)
    for name, allowed in having.items():
        keys = [f":{name}{number}" for number, _ in enumerate(allowed)]
        named |= dict(zip(keys, allowed, strict=True))
        clauses.append(f"#{name} IN ({', '.join(keys)})")
    return {
        "FilterExpression": " AND ".join(clauses),
        "ExpressionAttributeNames": {f"#{name}": name for name in having},
        "ExpressionAttributeValues": to_item(named),
    }
