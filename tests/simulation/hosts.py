"""The hosts: EC2 instances that boot, and the agents that live on them and die."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.agent import Agent
from tests.simulation.aws import Instance
from tests.simulation.deploying import Violation
from tests.simulation.functions import LAMBDA_TIMEOUT

if TYPE_CHECKING:
    from tests.simulation.world import World


class Hosts:
    """What happens on the world's hosts when EC2 changes their state."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._running_since: dict[str, float] = {}

    def state_changed(self, instance: Instance) -> None:
        self._world.say(f"{instance.host_id} is {instance.state}")
        self._note_state(instance)
        host, agent = instance.host_id, self._world.agents.get(instance.host_id)
        if instance.state == "pending":
            self._count_sleep(host)
        if instance.state == "running":
            self._running_since[host] = self._world.clockwork.time
            self.boot(instance)
        elif instance.state == "stopping" and agent is not None:
            agent.terminate()
        elif instance.state == "stopped":
            self._world.awake_seconds += self._world.clockwork.time - self._running_since.pop(
                host, self._world.clockwork.time
            )
            self._world.stopped_at[host] = self._world.clockwork.time
            if agent is not None:
                agent.kill()
            if "stopped event" not in self._world.without:
                self.event(host)

    def _note_state(self, instance: Instance) -> None:
        """Which states of the protocol were reached: EC2's, the row's, and whether work waits."""
        row = self._world.table.hosts.get(instance.host_id)
        known = "no row" if row is None or not row.boot else row.state
        if row is not None and row.boot and row.boot != instance.boot:
            known += " (earlier boot)"
        work = "work" if self._world.table.wants.all() else "no work"
        self._world.seen.add(f"{instance.state}, {known}, {work}")

    def _count_sleep(self, starting: str) -> None:
        """How long work has waited for this start while every host was stopped."""
        if any(i.state != "stopped" for h, i in self._world.ec2.instances.items() if h != starting):
            return
        wants = self._world.table.wants.all()
        if wants:
            since = max([min(w.noted_at for w in wants), *self._world.stopped_at.values()])
            self._world.asleep_with_work += self._world.clockwork.time - since

    def event(self, host: str) -> None:
        """EventBridge tells of the stop: perhaps late, twice, or never."""
        world = self._world
        if world.weather.happens("event lost", 0.2):
            world.say(f"the event of {host} is lost")
            return
        for _ in range(2 if world.weather.happens("event twice", 0.2) else 1):
            world.after(world.dice.uniform(0.2, 3), lambda: world.functions.stopped(host))

    def boot(self, instance: Instance) -> None:
        if self._world.weather.happens("silent boot", 0.2):
            self._world.say(f"{instance.host_id} boots, and no agent comes")
            return
        slow = self._world.weather.happens("slow boot", 0.15)
        delay = self._world.dice.uniform(200, 900) if slow else self._world.dice.uniform(10, 40)
        boot = instance.boot
        self._world.clockwork.after(delay, lambda: self.start_agent(instance, boot))

    def start_agent(self, instance: Instance, boot: str) -> None:
        """A new process on the host, if it still runs in that boot."""
        if (instance.state, instance.boot) != ("running", boot):
            return
        agent = self._world.agents[instance.host_id] = Agent(self._world, instance)
        agent.wake(self._world.clockwork.time)
        agent.beat_in(0.0)

    def kill_agent(self, host: str) -> None:
        """kill -9 of the process; systemd starts another one."""
        agent = self._world.agents.get(host)
        if agent is None or agent.dead:
            return
        self._world.say(f"the agent on {host} is killed")
        agent.kill()
        instance, boot = agent.instance, agent.boot
        self._world.clockwork.after(5, lambda: self.start_agent(instance, boot))

    def kill_who_follows(self, pipeline: str) -> None:
        """The host whose agent has just updated the service is gone, in the middle of the call."""
        world = self._world
        row = world.table.deployments.get(world.table.locks.get(pipeline).deployment or "")
        by = (row.claimed_by or "") if row is not None else ""
        for host, instance in world.ec2.instances.items():
            if by.startswith(f"host {host}/"):
                world.say(f"{host} dies right after UpdateService")
                world.clockwork.after(0.0, lambda i=instance: world.ec2.die(i))
                world.agents[host].caller.dead = True

    def before_stop(self, instance: Instance) -> None:
        agent = self._world.agents.get(instance.host_id)
        if agent is not None and agent.boot == instance.boot and self._is_at_work(agent):
            raise Violation(f"{instance.host_id} is stopped while it works")
        self.not_held(instance)

    def before_start(self, instance: Instance) -> None:
        self.not_held(instance)
        self._not_for_what_is_followed()

    def _not_for_what_is_followed(self) -> None:
        """What is followed wakes no host. (A slow decision may rest on what was before.)"""
        world = self._world
        locks = world.table.locks.all()
        followed = {lock.pipeline for lock in locks if lock.is_followed}
        if world.takes_over or not followed or {"call slow", "wrong counts"} & world.weather.kinds:
            return
        wanted = {want.pipeline for want in world.table.wants.all() if want.builder}
        wanted |= {lock.pipeline for lock in locks if lock.again}
        if not wanted - followed and not world.queues["build"].counted[1]:
            raise Violation(f"a host is woken for {', '.join(sorted(followed))}, which is followed")

    def not_held(self, instance: Instance) -> None:
        """A host that an operator holds is neither stopped nor started by a later decision."""
        since = self._world.held_since.get(instance.host_id, self._world.clockwork.time)
        if self._world.clockwork.time - since > LAMBDA_TIMEOUT:
            raise Violation(f"{instance.host_id} is {instance.state} and held, and is not left so")

    def _is_at_work(self, agent: Agent) -> bool:
        """And gets on with it, as far as anybody can tell."""
        broken = agent.frozen or agent.stuck or self._is_silent(agent)
        return agent.working and not broken

    def _is_silent(self, agent: Agent) -> bool:
        """No heartbeat came through for so long that rule 4 may stop it."""
        row = self._world.table.hosts.get(agent.instance.host_id)
        limit = self._world.installation.limits.no_heartbeat
        return row is not None and self._world.clockwork.time - row.heartbeat_at > limit
