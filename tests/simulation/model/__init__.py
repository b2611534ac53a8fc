"""A small, complete model of waking and sleeping: every interleaving of a bounded world.

An agent is a main thread and its runs: that one goes on receiving while they work, their steps come
in every order. One pipeline: so a second run begins only where `under way` is taken out.

What is real: `lambdas.decide.decision.decide`, and every move on want, host and lock rows (the
code of `slipway.contracts.table` against a table in memory; answers are remembered: the same move
on the same row answers the same). What is modelled: EC2, SNS, SQS, the steps of a Lambda and of an
agent.

Time is not counted. The timers of many minutes have run out whenever the reconciler looks and
nothing else is under way (earlier costs one of the doubled deliveries), a queue count may be 0
whatever is in the queue, deliveries come in any order. Only this is assumed of time: a claim does
not lapse while its claimer lives (a Lambda's timeout is shorter than the claim), and a lock does
not expire while its holder lives and was not given up (the keeper renews it). An agent that has
crashed is back before the timers of many minutes run out, or never.

Faults come from a budget: deliveries lost, deliveries doubled, and crashes (of a Lambda between any
two steps, of an agent with all its runs at any step, of a host, also while it starts; or a stop
that EC2 refuses), runs that hang (and may wake after they were given up). Bounded besides: Lambdas
at the same time, and copies of one request under way.

Orders of an operator come from a budget, too: a cancel, a rollback that takes over. Real are what a
cancel finds (`to_cancel`), the moves on rows, how whoever follows and a run's keeper obey
(`Held._obey`, `Keeper._obey`), and what outcomes change in the pipeline's row. A command may end
before each of its calls. Of time is assumed besides: a command that asks for a takeover has looked
just before whether its rollback has begun, and an invocation that asks has just tried the lock.
What is left of a rollback that has begun (its messages, that command) is dropped. In such a world
deployments are known by their rows; a run begins its own before it fetches.

Left out: builds that fail, and that a run which hung is ended as failed; that a push which was told
of is not deployed anew; the commit that an interrupted run had fetched. In a world without orders
whether a deployment was begun for a request is known as long as its run lives.

A state is at rest when every push is deployed (or a cancel has ended it, or a rollback undone it),
nothing is under way and every host is stopped; held ones do nothing. From every state rest must be
reachable without another fault; in none may StopInstances meet a working host, two runs (of one
host or two) be in a rollout, or an older commit replace a newer one or a rollback; nor may what was
cancelled before its step was claimed change the service, anything give way to a rollback that is
over or older, or an outcome be forgotten.
"""

from tests.simulation.model.state import Bounds, State, Violation, at_rest, start
from tests.simulation.model.steps import Model

__all__ = ["Bounds", "Model", "State", "Violation", "at_rest", "start"]
