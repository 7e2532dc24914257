"""SnapStart: what a snapshot must not hold. AWS's own hooks are called as its runtime calls them."""

import json
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from sqlalchemy.engine import URL

from ops import emulator
from ops.build import filled
from ops.tools import environment_of

pytestmark = [
    pytest.mark.artifact,
    pytest.mark.skipif(not emulator.EMULATED, reason="AWS's runtime is for Linux only"),
]

# snapshot_restore_py's registry, in the order in which awslambdaric's lambda_runtime_client runs it
PROGRAM = """
import json, random
import snapshot_restore_py as hooks
from app.entrypoints import api_lambda
from app.foundation import aws

def answer():
    event = json.load(open("events/http-api-version.json"))
    event["rawPath"] = event["requestContext"]["http"]["path"] = "/ready"
    return api_lambda.handler(event, {})["statusCode"]

pool = api_lambda.app.state.engine.pool
seen = [answer(), pool.checkedin(), aws.credentials().access_key]
for function, arguments, options in reversed(hooks.get_before_snapshot()):
    function(*arguments, **options)
shared = random.getstate()
seen += [api_lambda.app.state.engine.pool.checkedin()]
for function, arguments, options in hooks.get_after_restore():
    function(*arguments, **options)
seen += [random.getstate() != shared, aws.credentials().access_key, answer()]
print(json.dumps(seen))
"""


class Role(BaseHTTPRequestHandler):
    """New credentials at each call."""

    given = 0

    def do_GET(self) -> None:
        Role.given += 1
        expires = datetime.now(UTC) + timedelta(hours=1)
        body = json.dumps(
            {
                "AccessKeyId": f"key-{Role.given}",
                "SecretAccessKey": "s",
                "Token": "t",
                "Expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        ).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def role() -> Iterator[str]:
    Role.given = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Role) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/credentials"
        server.shutdown()


def seen(url: URL, role: str, kind: str) -> list[object]:
    python = str(environment_of("runtime") / "bin" / "python")
    variables = {
        "PYTHONPATH": str(filled(emulator.ARCHITECTURE)),
        "ENVIRONMENT": "test",
        "LOG_LEVEL": "ERROR",
        "DATABASE_URL": url.render_as_string(hide_password=False),
        "AWS_LAMBDA_INITIALIZATION_TYPE": kind,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": role,
    }
    done = subprocess.run([python, "-c", PROGRAM], env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: list[object] = json.loads(done.stdout)
    return found


def test_a_restored_environment_starts_anew(migrated: URL, role: str) -> None:
    assert seen(migrated, role, "snap-start") == [200, 1, "key-1", 0, True, "key-2", 200]


def test_without_it_nothing_is_registered(migrated: URL, role: str) -> None:
    assert seen(migrated, role, "on-demand") == [200, 1, "key-1", 1, False, "key-1", 200]
