"""What the visitors of `make load` do, in locust; ops/load.py starts it and judges what this writes.

Without EMAIL and PASSWORD they only read. With them each signs in once and out at the end.
"""

import json
import logging
import os
from itertools import cycle
from pathlib import Path
from typing import Any

import gevent
from locust import HttpUser, between, events, task

CREDENTIALS = {"username": os.environ.get("EMAIL"), "password": os.environ.get("PASSWORD")}
SIGNS_IN = all(CREDENTIALS.values())
PATHS = [*(["/v1/users/me"] if SIGNS_IN else []), "/ready", "/health", "/version"]
PATIENCE = 10  # s; what takes longer has failed


class Visitor(HttpUser):
    # 10 of them make about 10 requests a second, and at most 10 at once. API Gateway lets 50 and 40 through
    # (template.yaml, DefaultRouteSettings); the application limits nobody, and signing in costs it the most
    wait_time = between(0.5, 1.5)

    def on_start(self) -> None:
        self.paths = cycle(PATHS)
        if SIGNS_IN:
            answer = self.client.post("/v1/auth/token", data=CREDENTIALS, timeout=PATIENCE)
            if answer.status_code == 200:
                self.client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    @task
    def read(self) -> None:
        self.client.get(next(self.paths), timeout=PATIENCE)

    def on_stop(self) -> None:
        if "Authorization" in self.client.headers:
            self.client.post("/v1/auth/logout", timeout=PATIENCE)


@events.test_start.add_listener
def begin(environment: Any, **_: Any) -> None:
    # locust's own tables are wide, and in the report
    logging.getLogger("locust.stats_logger").setLevel(logging.WARNING)
    environment.stop_timeout = 2 * PATIENCE + 1  # for what is in flight, and to sign out
    who = f"signed in as {CREDENTIALS['username']}" if SIGNS_IN else "signed in as nobody"
    print(f"{environment.host}, for {environment.parsed_options.run_time} s, {who}", flush=True)
    gevent.spawn(follow, environment)


def follow(environment: Any) -> None:
    total = environment.stats.total
    while True:
        gevent.sleep(min(5, environment.parsed_options.run_time / 3))
        soon = total.get_response_time_percentile(0.95)
        done = f"{total.num_requests:6} requests  {total.num_failures:4} failed  95 % within {soon:4.0f} ms"
        print(f"{environment.runner.user_count:4} visitors  {done}", flush=True)


@events.test_stop.add_listener
def end(environment: Any, **_: Any) -> None:
    total = environment.stats.total
    errors = sorted(environment.stats.errors.values(), key=lambda error: -error.occurrences)
    for error in errors:
        what = f"{error.method} {error.name}: {error.parse_error(error.error)}"
        print(f"  {error.occurrences} x {what}", flush=True)
    found = {
        "requests": total.num_requests,
        "failures": total.num_failures,
        # locust keeps two digits of it
        "p95_ms": total.get_response_time_percentile(0.95),
        "per_second": round(total.total_rps, 1),
    }
    Path(environment.parsed_options.html_file).with_suffix(".json").write_text(json.dumps(found))
