"""How Jenkins signs in: the AWS configuration of docs/jenkins.md, with stand-ins for EC2 and STS."""

import json
import os
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import boto3
import pytest

from ops.cloud.account import chosen
from ops.environment import ROOT

pytestmark = pytest.mark.pipeline

ASSUMED = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>
<Expiration>{}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"""
KNOWN = """<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Account>{}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"""


class Aws(BaseHTTPRequestHandler):
    """Instance metadata (EC2 User Guide, "IMDSv2") and STS, whose sessions end within a minute."""

    asked: list[tuple[str, str]]  # by which key, for which role

    def do_PUT(self) -> None:
        self.answer("a-token")

    def do_GET(self) -> None:
        machine = {"Code": "Success", "AccessKeyId": "ASIAMACHINE", "SecretAccessKey": "s", "Token": "t"}
        named = self.path.endswith("/the-machine")
        self.answer(json.dumps({**machine, "Expiration": later(hours=6)}) if named else "the-machine")

    def do_POST(self) -> None:
        body = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        role = body.get("RoleArn", [""])[0]
        [key] = re.findall(r"Credential=(\w+)/", self.headers["Authorization"])
        self.asked.append((key, role))
        self.answer(ASSUMED.format(later(minutes=1)) if role else KNOWN.format("111111111111"))

    def answer(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


def later(**much: int) -> str:
    return (datetime.now(UTC) + timedelta(**much)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def aws() -> Iterator[ThreadingHTTPServer]:
    Aws.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Aws) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_a_machines_role_becomes_that_of_the_environment_and_again(
    environment: str, aws: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = (ROOT / "docs/jenkins.md").read_text(encoding="utf-8")
    (tmp_path / "config").write_text(told.partition("```ini\n")[2].partition("```")[0])
    url = f"http://127.0.0.1:{aws.server_port}"
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", f"slipway-{environment}")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", url)

    monkeypatch.setenv("ENV", environment)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)

    account = chosen()
    assert (account.region, account.number) == ("eu-central-1", "111111111111")
    once = len(Aws.asked)
    chosen()
    assert len(Aws.asked) > once + 1  # the role's session is about to end, so there is a new one
    roles = {role.partition("-pipeline-")[0] for key, role in Aws.asked if key == "ASIAMACHINE"}
    assert [role.rpartition("/")[2] for role in roles] == [f"slipway-{environment}"]
    assert {role for key, role in Aws.asked if key == "ASIAROLE"} == {""}
