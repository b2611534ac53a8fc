"""What two task definitions differ in, beside their images: names, and no value that may be secret.

ECS fills defaults in where a definition leaves them out. So both sides are first written alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from slipway.rollout.taskdef import Definition, images_of

_OPEN = frozenset({"cpu", "memory", "networkMode", "pidMode", "ipcMode", "family"})
"""Members of a definition whose values are shown."""
_OPEN_OF_CONTAINER = frozenset({"cpu", "memory", "memoryReservation", "essential", "stopTimeout"})
_CHECK = {"interval": 30, "timeout": 5, "retries": 3}


def same_definition(runs: Definition, wanted: Definition) -> bool:
    """Whether registering `wanted` would give what `runs` is, images included."""
    return images_of(runs) == images_of(wanted) and not beside_images(runs, wanted)


def beside_images(before: Definition, after: Definition) -> tuple[str, ...]:
    """One line for each thing that differs, by its path as `slipway taskdef --set` takes it.

    `web.environment.LEVEL: changed`. Only numbers, modes and flags that ECS itself names are shown
    with their values.
    """
    return tuple(_lines(normal(before), normal(after)))


def normal(definition: Definition) -> Definition:
    """`definition` without what is empty, and without what is ECS's default."""
    kept = {key: value for key, value in definition.items() if key != "containerDefinitions"}
    containers = [_container(c) for c in definition.get("containerDefinitions") or []]
    kept = _without(kept, {"enableFaultInjection": False})
    kept["volumes"] = [_without(v, {"host": {}}) for v in definition.get("volumes") or []]
    cleaned: Definition = _clean({**kept, "containerDefinitions": containers})
    return cleaned


def _container(container: Definition) -> Definition:
    made = _without(container, {"cpu": 0, "essential": True})
    ports = [_port(port) for port in made.get("portMappings") or []]
    mounts = [_without(m, {"readOnly": False}) for m in made.get("mountPoints") or []]
    made |= {"portMappings": ports, "mountPoints": mounts}
    if isinstance(made.get("healthCheck"), dict):
        made["healthCheck"] = _without(made["healthCheck"], _CHECK)
    return made


def _port(port: Definition) -> Definition:
    made = _without(port, {"protocol": "tcp", "hostPort": 0})
    return _without(made, {"hostPort": made.get("containerPort")})


def _without(value: Mapping[str, Any], defaults: Mapping[str, Any]) -> Definition:
    return {k: v for k, v in value.items() if k not in defaults or v != defaults[k]}


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: _clean(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in (None, [], {})}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return value


def _lines(before: Definition, after: Definition) -> Iterator[str]:
    yield from _members("", before, after, _OPEN, without=("containerDefinitions",))
    both = before.get("containerDefinitions"), after.get("containerDefinitions")
    old, new = _by_key(both[0], "name"), _by_key(both[1], "name")
    if old is None or new is None:
        yield from ["containerDefinitions: changed"] if both[0] != both[1] else []
        return
    for name in sorted(old.keys() | new.keys()):
        was, is_now = old.get(name), new.get(name)
        if was is None or is_now is None:
            yield f"container {name}: {_how(was, is_now)}"
            continue
        yield from _members(f"{name}.", was, is_now, _OPEN_OF_CONTAINER, without=("image", "name"))


def _members(
    prefix: str, before: Definition, after: Definition, shown: frozenset[str],
    *, without: tuple[str, ...] = (),
) -> Iterator[str]:  # fmt: skip
    for name in sorted((before.keys() | after.keys()) - set(without)):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if name in shown and _plain(old) and _plain(new):
            yield f"{prefix}{name}: {_word(old)} → {_word(new)}"
        else:
            yield from _inside(f"{prefix}{name}", old, new)


def _inside(path: str, old: Any, new: Any) -> Iterator[str]:
    """Objects and lists of named objects are told by what differs in them; all else as a whole."""
    for kind in ("name", "key"):
        named = _by_key(old, kind), _by_key(new, kind)
        if named[0] is not None and named[1] is not None and (named[0] or named[1]):
            yield from _each(path, named[0], named[1])
            return
    if isinstance(old or {}, dict) and isinstance(new or {}, dict):
        yield from _each(path, old or {}, new or {})
        return
    yield f"{path}: {_how(old, new)}"


def _each(path: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield f"{path}.{name}: {_how(old.get(name), new.get(name))}"


def _by_key(value: Any, key: str) -> dict[str, Any] | None:
    """A list of objects with unique names, by name; None for what is none."""
    if value is None:
        return {}
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        return None
    names = [item.get(key) for item in value]
    if None in names or len(set(map(str, names))) != len(names):
        return None
    return {str(item[key]): item for item in value}


def _how(old: Any, new: Any) -> str:
    return "added" if old is None else "removed" if new is None else "changed"


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)


def _word(value: Any) -> str:
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
