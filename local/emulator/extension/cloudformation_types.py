"""Gap closed: types that our stacks have and ministack's CloudFormation refuses or cuts short.

`AWS::EC2::Instance` and `AWS::CodeCommit::Repository` are made for real; security group rules are
added to their group; a task definition's platform and health check are kept; TTL, recovery and
encryption of a DynamoDB table are kept; an alarm over a sum of metrics becomes one alarm for each;
a few types that change nothing here are accepted and forgotten, each listed in `RECORDED_ONLY`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services import dynamodb, ec2, ecs
from ministack.services.cloudformation import provisioners

from local.emulator.extension.ec2_states import DEFAULT_METADATA_OPTIONS, InstanceStates
from local.emulator.extension.private import entry, need
from local.emulator.extension.repositories import Repositories, Repository, Trigger
from local.emulator.settings import EmulatorSettings

Properties = dict[str, Any]
Made = tuple[str, dict[str, str]]

RECORDED_ONLY = (
    "AWS::EC2::FlowLog",
    "AWS::ECS::ClusterCapacityProviderAssociations",
    "AWS::Events::EventBusPolicy",
    "AWS::CloudWatch::CompositeAlarm",
    "AWS::ResourceGroups::Group",
    "AWS::Budgets::Budget",
)
# A change of one of these makes a new instance (AWS: "Update requires: Replacement").
REPLACING = ("ImageId", "SubnetId", "AvailabilityZone", "KeyName", "NetworkInterfaces")


class InstanceType:
    """`AWS::EC2::Instance`."""

    def __init__(self, states: InstanceStates) -> None:
        self._states = states

    def handlers(self) -> dict[str, Any]:
        return {"create": self.create, "update": self.update, "delete": self.delete}

    def create(self, _logical_id: str, properties: Properties, _stack: str) -> Made:
        """Launch it, as RunInstances does; CloudFormation does not wait for `running` here."""
        launch = {**_launch_template_data(properties), **properties}
        profile = _profile(launch.get("IamInstanceProfile"))
        interfaces = launch.get("NetworkInterfaces") or [{}]
        instances = ec2._launch_instances_internal(
            image_id=launch.get("ImageId") or "ami-00000000",
            instance_type=launch.get("InstanceType") or "m1.small",
            subnet_id=launch.get("SubnetId") or interfaces[0].get("SubnetId") or "",
            count=1,
            key_name=launch.get("KeyName") or "",
            user_data=launch.get("UserData") or "",
            sg_ids=launch.get("SecurityGroupIds") or interfaces[0].get("GroupSet") or [],
            iam_profile=profile,
        )
        instance = instances[0]
        instance["MetadataOptions"] = {
            **DEFAULT_METADATA_OPTIONS,
            **(launch.get("MetadataOptions") or {}),
        }
        provisioners._ec2_apply_tags(instance["InstanceId"], properties)
        return instance["InstanceId"], _instance_attributes(instance)

    def update(self, physical_id: str, old: Properties, new: Properties, stack: str) -> Made:
        """Change in place what AWS changes in place; else launch a new one."""
        instance = ec2._instances.get(physical_id)
        if instance is None or any(old.get(name) != new.get(name) for name in REPLACING):
            made = self.create("", new, stack)
            provisioners._delete_predecessor(self.delete, physical_id, old)
            return made
        launch = {**_launch_template_data(new), **new}
        instance["InstanceType"] = launch.get("InstanceType") or instance["InstanceType"]
        instance["UserData"] = launch.get("UserData") or ""
        instance["IamInstanceProfile"] = _profile(launch.get("IamInstanceProfile"))
        instance["MetadataOptions"] = {
            **DEFAULT_METADATA_OPTIONS,
            **(launch.get("MetadataOptions") or {}),
        }
        provisioners._ec2_apply_tags(physical_id, new, old)
        return physical_id, _instance_attributes(instance)

    def delete(self, physical_id: str, _properties: Properties) -> None:
        if physical_id in ec2._instances:
            self._states.terminate_instances({"InstanceId.1": [physical_id]})


def _launch_template_data(properties: Properties) -> Properties:
    named = properties.get("LaunchTemplate") or {}
    for template_id, template in ec2._launch_templates.items():
        if named.get("LaunchTemplateId") == template_id or (
            named.get("LaunchTemplateName") == template.get("LaunchTemplateName")
        ):
            data: Properties = template["Versions"][-1].get("LaunchTemplateData") or {}
            return data
    return {}


def _profile(given: Any) -> dict[str, str] | None:
    """An instance profile given by name, by ARN, or as a launch template writes it."""
    if isinstance(given, dict):
        given = given.get("Name") or given.get("Arn")
    if not given:
        return None
    profile, problem = ec2._resolve_iam_instance_profile(iam_name=given.rpartition("/")[2])
    if problem:
        raise ValueError(f"the instance profile {given!r} does not exist")
    found: dict[str, str] = profile
    return found


def _instance_attributes(instance: dict[str, Any]) -> dict[str, str]:
    return {
        "InstanceId": instance["InstanceId"],
        "AvailabilityZone": instance["Placement"]["AvailabilityZone"],
        "PrivateDnsName": instance["PrivateDnsName"],
        "PrivateIp": instance["PrivateIpAddress"],
        "PublicDnsName": instance["PublicDnsName"],
        "PublicIp": instance["PublicIpAddress"],
        "VpcId": instance["VpcId"],
    }


class RepositoryType:
    """`AWS::CodeCommit::Repository`; its physical id is the repository's id, as in AWS."""

    def __init__(self, repositories: Repositories, endpoint_url: str) -> None:
        self._repositories = repositories
        self._endpoint_url = endpoint_url

    def handlers(self) -> dict[str, Any]:
        return {"create": self.create, "update": self.update, "delete": self.delete}

    def create(self, _logical_id: str, properties: Properties, _stack: str) -> Made:
        repository = self._repositories.create(
            get_account_id(),
            get_region(),
            properties["RepositoryName"],
            properties.get("RepositoryDescription") or "",
        )
        self._repositories.set_triggers(repository, _triggers(properties))
        return repository.repository_id, self._attributes(repository)

    def update(self, physical_id: str, old: Properties, new: Properties, stack: str) -> Made:
        """Triggers change in place; a new name makes a new repository."""
        repository = self._repositories.find(get_account_id(), physical_id)
        if repository is None or old["RepositoryName"] != new["RepositoryName"]:
            made = self.create("", new, stack)
            provisioners._delete_predecessor(self.delete, physical_id, old)
            return made
        self._repositories.set_triggers(repository, _triggers(new))
        return physical_id, self._attributes(repository)

    def delete(self, physical_id: str, _properties: Properties) -> None:
        repository = self._repositories.find(get_account_id(), physical_id)
        if repository is not None:
            self._repositories.delete(repository)

    def _attributes(self, repository: Repository) -> dict[str, str]:
        return {
            "Arn": repository.arn,
            "Name": repository.name,
            "CloneUrlHttp": f"{self._endpoint_url}/v1/repos/{repository.name}",
            "CloneUrlSsh": "",
        }


def _triggers(properties: Properties) -> tuple[Trigger, ...]:
    return tuple(
        Trigger(
            name=given["Name"],
            destination_arn=given["DestinationArn"],
            custom_data=given.get("CustomData") or "",
            branches=tuple(given.get("Branches") or ()),
            events=tuple(given.get("Events") or ("all",)),
        )
        for given in properties.get("Triggers") or []
    )


def _security_group_rule(direction: str) -> dict[str, Any]:
    """`AWS::EC2::SecurityGroupIngress` or `…Egress`: a rule added to an existing group."""
    member = "IpPermissions" if direction == "Ingress" else "IpPermissionsEgress"

    def create(_logical_id: str, properties: Properties, _stack: str) -> Made:
        group = ec2._security_groups.get(properties.get("GroupId", ""))
        if group is None:
            raise ValueError(f"the security group {properties.get('GroupId')!r} does not exist")
        group.setdefault(member, []).extend(provisioners._ec2_sg_permissions([properties]))
        rule_id = f"sgr-{uuid.uuid4().hex[:17]}"
        return rule_id, {"Id": rule_id}

    def delete(_physical_id: str, properties: Properties) -> None:
        group = ec2._security_groups.get(properties.get("GroupId", ""))
        for rule in provisioners._ec2_sg_permissions([properties]) if group else []:
            if rule in group.get(member, []):
                group[member].remove(rule)

    return {"create": create, "delete": delete}


def _recorded_only() -> dict[str, Any]:
    def create(logical_id: str, _properties: Properties, stack: str) -> Made:
        physical_id = f"{stack}-{logical_id}"
        return physical_id, {"Id": physical_id, "Arn": physical_id}

    def delete(_physical_id: str, _properties: Properties) -> None:
        """Nothing was made."""

    return {"create": create, "delete": delete}


def _table_settings(name: str, properties: Properties) -> None:
    """Apply what ministack's table handler drops: TTL, recovery, encryption."""
    ttl = properties.get("TimeToLiveSpecification")
    if ttl:
        dynamodb._update_ttl({"TableName": name, "TimeToLiveSpecification": ttl})
    recovery = properties.get("PointInTimeRecoverySpecification")
    if recovery:
        dynamodb._update_continuous_backups(
            {"TableName": name, "PointInTimeRecoverySpecification": recovery}
        )
    encryption = properties.get("SSESpecification") or {}
    if encryption.get("SSEEnabled"):
        dynamodb._tables[name]["SSEDescription"] = {
            "Status": "ENABLED",
            "SSEType": encryption.get("SSEType") or "KMS",
            "KMSMasterKeyArn": encryption.get("KMSMasterKeyId") or "",
        }


def _table_handlers(original: dict[str, Any]) -> dict[str, Any]:
    create: Callable[..., Made] = original["create"]
    update: Callable[..., Made] = original["update"]

    def created(logical_id: str, properties: Properties, stack: str) -> Made:
        name, attributes = create(logical_id, properties, stack)
        _table_settings(name, properties)
        return name, attributes

    def updated(physical_id: str, old: Properties, new: Properties, *rest: Any) -> Made:
        name, attributes = update(physical_id, old, new, *rest)
        _table_settings(name, new)
        return name, attributes

    return {**original, "create": created, "update": updated}


def _complete_definition(arn: str, properties: Properties) -> None:
    """Give a task definition what ministack's handler leaves out or leaves in capitals."""
    definition = ecs._task_defs[arn.rpartition("/")[2]]
    for member in ("pidMode", "ipcMode", "taskRoleArn", "executionRoleArn"):
        if not definition.get(member):
            definition.pop(member, None)
    if properties.get("RuntimePlatform"):
        definition["runtimePlatform"] = provisioners._pascal_to_camel(properties["RuntimePlatform"])
    for container in definition["containerDefinitions"]:
        if container.get("healthCheck"):
            container["healthCheck"] = provisioners._pascal_to_camel(container["healthCheck"])


def _definition_handlers(original: dict[str, Any]) -> dict[str, Any]:
    create: Callable[..., Made] = original["create"]
    update: Callable[..., Made] = original["update"]

    def created(logical_id: str, properties: Properties, stack: str) -> Made:
        arn, attributes = create(logical_id, properties, stack)
        _complete_definition(arn, properties)
        return arn, attributes

    def updated(physical_id: str, old: Properties, new: Properties, *rest: Any) -> Made:
        arn, attributes = update(physical_id, old, new, *rest)
        _complete_definition(arn, new)
        return arn, attributes

    return {**original, "create": created, "update": updated}


def _single_metric_alarms(properties: Properties) -> list[tuple[str, Properties]]:
    """Name suffix and properties of the alarms that stand for one over a sum of metrics.

    ministack knows no metric math. Slipway's only formula is a sum that must stay 0, which is the
    same as one alarm for each term. Any other alarm stays as it is.
    """
    terms = [m["MetricStat"] for m in properties.get("Metrics") or [] if m.get("MetricStat")]
    if not terms:
        return [("", properties)]
    common = {name: value for name, value in properties.items() if name != "Metrics"}
    return [
        (
            "" if number == 0 else f"-{number + 1}",
            {**common, **term["Metric"], "Period": term["Period"], "Statistic": term["Stat"]},
        )
        for number, term in enumerate(terms)
    ]


def _alarm_handlers(original: dict[str, Any]) -> dict[str, Any]:
    create: Callable[..., Made] = original["create"]
    delete: Callable[..., None] = original["delete"]

    def created(logical_id: str, properties: Properties, stack: str) -> Made:
        made = [
            create(logical_id, {**single, "AlarmName": properties["AlarmName"] + suffix}, stack)
            for suffix, single in _single_metric_alarms(properties)
        ]
        return made[0]

    def updated(physical_id: str, old: Properties, new: Properties, stack: str) -> Made:
        deleted(physical_id, old)
        return created("", new, stack)

    def deleted(physical_id: str, properties: Properties) -> None:
        for suffix, single in _single_metric_alarms(properties):
            delete(physical_id + suffix, single)

    return {"create": created, "update": updated, "delete": deleted}


def install(settings: EmulatorSettings, states: InstanceStates, repositories: Repositories) -> None:
    """Teach ministack's CloudFormation these types."""
    table: dict[str, Any] = need(provisioners, "_RESOURCE_HANDLERS")
    for name in ("_ec2_apply_tags", "_ec2_sg_permissions", "_delete_predecessor"):
        need(provisioners, name)
    for name in ("_launch_templates", "_resolve_iam_instance_profile", "_security_groups"):
        need(ec2, name)
    for name in ("_update_ttl", "_update_continuous_backups", "_tables"):
        need(dynamodb, name)
    table["AWS::EC2::Instance"] = InstanceType(states).handlers()
    table["AWS::CodeCommit::Repository"] = RepositoryType(
        repositories, settings.endpoint_url
    ).handlers()
    for direction in ("Ingress", "Egress"):
        table[f"AWS::EC2::SecurityGroup{direction}"] = _security_group_rule(direction)
    for resource_type in RECORDED_ONLY:
        table.setdefault(resource_type, _recorded_only())
    dynamo = table["AWS::DynamoDB::Table"]
    entry(provisioners, "_RESOURCE_HANDLERS", "AWS::DynamoDB::Table", _table_handlers(dynamo))
    alarms = table["AWS::CloudWatch::Alarm"]
    entry(provisioners, "_RESOURCE_HANDLERS", "AWS::CloudWatch::Alarm", _alarm_handlers(alarms))
    need(ecs, "_task_defs")
    need(provisioners, "_pascal_to_camel")
    tasks = table["AWS::ECS::TaskDefinition"]
    entry(
        provisioners, "_RESOURCE_HANDLERS", "AWS::ECS::TaskDefinition", _definition_handlers(tasks)
    )
