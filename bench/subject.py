"""One subject's warm calls, in a process of its own: `subject.py HANDLER`, calls on standard input.

Each call is an event, a count, and the status expected. Prints the median of each, in microseconds.
"""

import json
import secrets
import statistics
import sys
import time
from importlib import import_module

module, name = sys.argv[1].rsplit(".", 1)
handler = getattr(import_module(module), name)
medians = {}
for measure, call in json.load(sys.stdin).items():
    taken = []
    for _ in range(call["count"] * 6 // 5):
        event = json.loads(json.dumps(call["event"]).replace("{n}", secrets.token_hex(8)))
        start = time.perf_counter()
        answer = handler(event, {})
        taken.append(time.perf_counter() - start)
        if answer["statusCode"] != call["status"]:
            sys.exit(f"{sys.argv[1]}, {measure}: {answer}")
    # the first sixth warms up
    medians[measure] = statistics.median(taken[len(taken) // 6 :]) * 1e6
print(json.dumps(medians))
