"""The close topic, on which the agent tells how things ended, and the topic of the alarms."""

from __future__ import annotations

from constructs import Construct

from infra.permissions.arns import Arns
from infra.requests.topics import Topic
from infra.shared import Shared


class NoticeTopics:
    """Made in the stack's own scope. Attributes: `close`, `alarm`."""

    def __init__(self, stack: Construct, *, shared: Shared, arns: Arns) -> None:
        names, configuration = shared.names, shared.configuration
        self.close = Topic(stack, "Close", name=names.close_topic, shared=shared)
        self.alarm = Topic(stack, "Alarm", name=names.alarm_topic, shared=shared)
        alarms = f"alarm:{names.installation}-*"
        dev, prod = configuration.dev.account, configuration.prod.account
        self.alarm.let_alarms_publish("AlarmsOfProd", prod, arns.prod("cloudwatch", alarms))
        if dev != prod:
            self.alarm.let_alarms_publish("AlarmsOfDev", dev, arns.dev("cloudwatch", alarms))
