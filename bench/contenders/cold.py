"""A Lambda's cold start: argument `ten-lines SERVICE…`, or the name of one of our functions.

Imports the handler and makes its clients, which is what the first invocation does before any call.
Prints JSON: seconds of each, and the peak resident memory in MB.
"""

import sys
import time

started = time.perf_counter()
if sys.argv[1] == "ten-lines":
    import boto3

    imported = time.perf_counter()
    clients = [boto3.client(service) for service in sys.argv[2:]]
elif sys.argv[1] == "notifier":
    from lambdas.notifier.handler import world

    imported = time.perf_counter()
    world()
else:
    import importlib

    importlib.import_module(f"lambdas.{sys.argv[1]}.handler")
    from lambdas.clients import services, sns

    imported = time.perf_counter()
    sns() if sys.argv[1] == "trigger" else services()
done = time.perf_counter()

import json  # noqa: E402  (not part of what is measured)
import resource  # noqa: E402

peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"import": imported - started, "clients": done - imported, "peak_mb": peak}))
