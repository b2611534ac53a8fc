"""What must hold of scheduled tasks, and of task definitions alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from slipway.configuration.companions import ScheduledTask, TaskDefinition
from slipway.configuration.parts import Configuration
from slipway.configuration.paths import Fault
from slipway.configuration.pipeline import Pipeline


def _tasks(c: Configuration) -> Iterator[tuple[Pipeline, str, ScheduledTask]]:
    for index, pipeline in enumerate(c.pipelines):
        for number, task in enumerate(pipeline.scheduled_tasks):
            yield pipeline, f"pipelines[{index}].scheduledTasks[{number}]", task


def _alone(c: Configuration) -> Iterator[tuple[Pipeline, str, TaskDefinition]]:
    for index, pipeline in enumerate(c.pipelines):
        for number, definition in enumerate(pipeline.task_definitions):
            yield pipeline, f"pipelines[{index}].taskDefinitions[{number}]", definition


def _rule_or_schedule(c: Configuration) -> list[Fault]:
    faults: list[Fault] = []
    for _, path, task in _tasks(c):
        if task.rule is None and task.schedule is None:
            faults.append((f"{path}.rule", "is missing (or give schedule)"))
        if task.rule is not None and task.schedule is not None:
            faults.append((f"{path}.schedule", "is not allowed beside rule: give one of them"))
        wrong = ("bus", "target") if task.rule is None else ("group",)
        of = "rule" if task.rule is None else "schedule"
        given = [key for key in wrong if getattr(task, key) is not None]
        faults += [(f"{path}.{key}", f"is not allowed: it is of a {of}") for key in given]
    return faults


def _each_once(c: Configuration) -> list[Fault]:
    faults, first = [], dict[tuple[str | None, ...], str]()
    for _, path, task in _tasks(c):
        place = task.bus if task.rule else task.group
        key = (task.rule, task.schedule, place or "default", task.target)
        if first.setdefault(key, path) != path:
            problem = f"{task.rule or task.schedule} is named by {first[key]} already"
            faults.append((path, problem))
    return faults


def _families(pipeline: Pipeline) -> set[str]:
    """Those of its services."""
    return {s.family or s.name or "" for s in pipeline.each_service}


def _one_pipeline_per_family(c: Configuration) -> list[Fault]:
    """What two pipelines register would undo each other."""
    owners = {family: p.name for p in c.pipelines for family in _families(p)}
    faults = []
    for pipeline, path, one in (*_tasks(c), *_alone(c)):
        owner = owners.setdefault(one.family, pipeline.name)
        if owner != pipeline.name:
            problem = f'"{one.family}": is of pipeline {owner!r}: one pipeline a family'
            faults.append((f"{path}.family", problem))
    return faults


def _alone_is_alone(c: Configuration) -> list[Fault]:
    faults = []
    for index, pipeline in enumerate(c.pipelines):
        taken = dict.fromkeys(_families(pipeline), "a service")
        taken |= {task.family: "a scheduled task" for task in pipeline.scheduled_tasks}
        for number, definition in enumerate(pipeline.task_definitions):
            who = taken.get(definition.family)
            taken[definition.family] = "an entry above"
            if who is not None:
                path = f"pipelines[{index}].taskDefinitions[{number}].family"
                problem = f"is the family of {who}, and is registered for that"
                faults.append((path, f'"{definition.family}": {problem}'))
    return faults


def _said_once(c: Configuration) -> list[Fault]:
    """Containers and roles of a family stand where it is named first: at its service, if any."""
    faults: list[Fault] = []
    for index, pipeline in enumerate(c.pipelines):
        first = dict.fromkeys(_families(pipeline), "its service")
        for number, task in enumerate(pipeline.scheduled_tasks):
            path = f"pipelines[{index}].scheduledTasks[{number}]"
            if task.family in first:
                given = [key for key in ("containers", "roles") if getattr(task, key)]
                problem = f"is not allowed: give those of {task.family} at {first[task.family]}"
                faults += [(f"{path}.{key}", problem) for key in given]
            first.setdefault(task.family, path)
    return faults


def _roles_are_of_prod(c: Configuration) -> list[Fault]:
    roles = [(f"{p}.targetRole", task.target_role) for _, p, task in _tasks(c)]
    for _, path, one in (*_tasks(c), *_alone(c)):
        roles += [(f"{path}.roles[{j}]", arn) for j, arn in enumerate(one.roles)]
    problem = f"must be a role of the prod account, {c.prod.account}"
    return [(p, f'"{arn}": {problem}') for p, arn in roles if arn.split(":")[4] != c.prod.account]


COMPANION_RULES: tuple[Callable[[Configuration], list[Fault]], ...] = (
    _rule_or_schedule,
    _each_once,
    _one_pipeline_per_family,
    _alone_is_alone,
    _said_once,
    _roles_are_of_prod,
)
