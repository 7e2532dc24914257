"""What only the Lambda door has: four kinds of events, one start, nothing reached while importing."""

import base64
import json
import subprocess
import sys
from typing import Any

import pytest
from httpx2 import Client
from sqlalchemy.engine import URL

from app import NAME
from ops.environment import ROOT
from tests.conftest import Handler

# which no cold start should pay for
UNWANTED = [
    "alembic", "asyncpg", "aws_xray_sdk", "boto3", "botocore.session", "fastapi_offline", "httpx",
    "httpx2", "jinja2", "prometheus_client", "sentry_sdk", "uvicorn",
]  # fmt: skip


def event(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((ROOT / "events" / f"{name}.json").read_text())
    return content


@pytest.mark.parametrize("kind", ["http-api", "rest-api", "load-balancer", "function-url"])
def test_every_kind_of_event_is_answered(lambda_handler: Handler, kind: str) -> None:
    answer = lambda_handler(event(f"{kind}-version"))
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])["name"] == NAME
    assert answer["isBase64Encoded"] is False


@pytest.mark.parametrize("kind", ["http-api", "rest-api", "load-balancer", "function-url"])
def test_a_problem_is_text_for_every_kind(lambda_handler: Handler, kind: str) -> None:
    """A REST API would hand base64 to the client as it is."""
    lost = json.loads(json.dumps(event(f"{kind}-version")).replace("/version", "/nothing"))
    answer = lambda_handler(lost)
    assert answer["statusCode"] == 404
    assert json.loads(answer["body"])["code"] == "not_found"


@pytest.mark.parametrize("kind", ["http-api", "rest-api", "load-balancer", "function-url"])
@pytest.mark.parametrize(
    ("header", "value"),
    [("Host", "[::1]:8000"), ("host", "a:b"), ("host", f"a:{'1' * 5000}"), ("X-Forwarded-Port", "none")],
)
def test_a_host_that_is_none_is_answered_too(
    lambda_handler: Handler, kind: str, header: str, value: str
) -> None:
    asked = event(f"{kind}-version")
    for part in ("headers", "multiValueHeaders"):
        if part in asked:
            kept = {name: given for name, given in asked[part].items() if name.lower() != header.lower()}
            asked[part] = kept | {header: value if part == "headers" else ["good", value]}
    assert lambda_handler(asked)["statusCode"] == 200


def test_the_events_sign_up_and_in(lambda_handler: Handler) -> None:
    assert lambda_handler(event("http-api-create-user"))["statusCode"] == 201
    answer = lambda_handler(event("http-api-sign-in"))
    assert json.loads(answer["body"])["token_type"] == "bearer"


def test_a_file_of_the_docs_arrives_whole(lambda_handler: Handler, client: Client) -> None:
    asked = json.loads(
        json.dumps(event("http-api-version")).replace("/version", "/docs/swagger-ui-bundle.js")
    )
    answer = lambda_handler(asked)
    body = base64.b64decode(answer["body"]) if answer["isBase64Encoded"] else answer["body"].encode()
    assert body == client.get("/docs/swagger-ui-bundle.js").content
    # AWS Lambda Developer Guide, "Lambda quotas": 6 MB for a synchronous answer
    assert len(json.dumps(answer)) < 6_000_000


def run(program: str, **environment: str) -> str:
    """In a process of its own, with only ENVIRONMENT=test and what is given."""
    done = subprocess.run(
        [sys.executable, "-B", "-c", program],
        env={"PYTHONPATH": f"{ROOT / 'src'}", "ENVIRONMENT": "test"} | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_door_reaches_nothing() -> None:
    """No address, no program, no file to write, and no module that a start should not pay for."""
    out = run(
        f"""
import os, socket, sys
refused = ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto", "subprocess.Popen",
           "os.mkdir", "os.rename", "os.remove")
writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT
def watch(name, arguments):
    # the event loop has a pair of its own, of the family AF_UNIX
    reached = name == "socket.__new__" and arguments[1] != socket.AF_UNIX
    if name in refused or reached or (name == "open" and arguments[2] & writing):
        raise SystemExit(f"{{name}} {{arguments}}")
sys.addaudithook(watch)
import app.entrypoints.api_lambda
print([name for name in {UNWANTED!r} if name in sys.modules])
"""
    )
    assert out == "[]\n"


def test_five_invocations_start_once(migrated: URL) -> None:
    out = run(
        f"""
import json, sqlalchemy, logging
made = []
real = sqlalchemy.create_engine
sqlalchemy.create_engine = lambda *a, **k: made.append(real(*a, **k)) or made[-1]
set_up = []
real_set_up = logging.basicConfig
logging.basicConfig = lambda **k: set_up.append(real_set_up(**k))
from app.entrypoints.api_lambda import handler
event = json.loads(json.dumps({event("http-api-version")!r}).replace("/version", "/ready"))
answers = [handler(event, None)["statusCode"] for _ in range(5)]
print(len(made), len(set_up), answers, made[0].pool.checkedin(), made[0].pool.size())
""",
        DATABASE_URL=migrated.render_as_string(hide_password=False),
    )
    assert out.splitlines()[-1] == "1 1 [200, 200, 200, 200, 200] 1 1"


def test_a_setting_that_is_wrong_is_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import app.entrypoints.api_lambda"],
        env={"PYTHONPATH": f"{ROOT / 'src'}", "ENVIRONMENT": "prod"},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert done.stderr.splitlines()[-1].startswith(
        "app.foundation.settings.SettingsError: SECRET_KEY: missing"
    )
