"""A cold start: argument `ten-lines SERVICE…`, the name of one of our functions, or `agent`.

Imports the handler and makes its clients, which is what the first invocation does before any call;
the agent makes those of its clients that it cannot begin without.
Prints JSON: seconds of each, and the peak resident memory in MB.
"""

import sys
import time

started = time.perf_counter()
if sys.argv[1] == "ten-lines":
    import boto3

    imported = time.perf_counter()
    clients = [boto3.client(service) for service in sys.argv[2:]]
elif sys.argv[1] == "agent":
    import boto3

    from build_agent.__main__ import assemble  # noqa: F401  (with all that it needs)
    from build_agent.assemble import clients as clients_of

    imported = time.perf_counter()
    client = clients_of(boto3.Session())
    for service in ("dynamodb", "sqs", "sns", "logs", "sts", "ecr", "ecs"):
        client(service)
elif sys.argv[1] == "notifier":
    from lambdas.notifier.handler import world

    imported = time.perf_counter()
    world()
elif sys.argv[1] == "follower":
    from lambdas.follower.handler import world as follower_world

    imported = time.perf_counter()
    follower_world("one")
else:
    import importlib

    importlib.import_module(f"lambdas.{sys.argv[1]}.handler")
    if sys.argv[1] == "trigger":
        from lambdas.shared.clients import client
    else:
        from lambdas.shared.services import services
    imported = time.perf_counter()
    client("sns") if sys.argv[1] == "trigger" else services()
done = time.perf_counter()

import json  # noqa: E402  (not part of what is measured)

from bench.measure import peak_mb  # noqa: E402

cost = {"import": imported - started, "clients": done - imported, "peak_mb": peak_mb()}
print(json.dumps(cost))
