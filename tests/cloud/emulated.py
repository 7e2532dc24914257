"""The emulated AWS (tests/stand_ins/cloud.py) as a test has it: started, called, deployed to, ended."""

import json
import os
import re
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx2

from ops.emulator import running, unused_ports
from ops.environment import ROOT
from ops.tools import environment_of

PROGRAM = "tests.stand_ins.cloud"
ACCOUNT = "123456789012"
REGION = "us-east-1"
START_SECONDS, STACK_SECONDS = 60, 300
# twelve digits: ministack takes the account from the key's id, and gives functions that id for a key
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": ACCOUNT,
    "AWS_SECRET_ACCESS_KEY": "nobodys-secret",
    "AWS_SESSION_TOKEN": "nobodys-token",
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
}
# neither this machine's own account nor its metadata, whatever happens
ALONE = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "SAM_CLI_TELEMETRY": "0",
    "SAM_CLI_POLL_DELAY": "0.1",
}


class AwsError(Exception):
    """What AWS refused; `code` is its name for it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class Invocation(NamedTuple):
    payload: Any
    error: str | None  # Unhandled, where the function failed
    version: str


class Cloud:
    """`environment` is for any program that is to use it; `log` is what the emulator and its hooks said."""

    def __init__(self, log: Path, calls: subprocess.Popen[str], environment: dict[str, str]) -> None:
        self.log = log
        self.environment = environment
        self.url = environment["AWS_ENDPOINT_URL"]
        self._calls = calls
        self._turn = threading.Lock()

    def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """As boto3's client of that service: call("lambda", "get_alias", FunctionName=.., Name=..)."""
        asked = {"service": service, "operation": operation, "parameters": parameters}
        assert self._calls.stdin
        assert self._calls.stdout
        with self._turn:
            self._calls.stdin.write(json.dumps(asked) + "\n")
            self._calls.stdin.flush()
            answer = json.loads(self._calls.stdout.readline())
        if "error" in answer:
            raise AwsError(answer["error"]["Code"], answer["error"]["Message"])
        result: dict[str, Any] = answer["result"]
        return result

    def invoke(self, function: str, payload: Any = None) -> Invocation:
        """`function` is a name or an ARN, with a version or an alias where one is meant."""
        done = self.call("lambda", "invoke", FunctionName=function, Payload=json.dumps(payload))
        return Invocation(json.loads(done["Payload"]), done.get("FunctionError"), done["ExecutedVersion"])

    def gateway(self, api: str) -> httpx2.Client:
        """Calls the HTTP API of that id, or endpoint, by the host name that the emulator knows."""
        [name] = re.findall(r"\b[0-9a-f]{8}\b", api)
        return httpx2.Client(base_url=self.url, headers={"Host": f"{name}.execute-api.localhost"}, timeout=60)

    def sam(self, *arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
        command = [str(environment_of("sam") / "bin" / "sam"), *arguments]
        return subprocess.run(command, cwd=folder, env=self.environment, capture_output=True, text=True)

    def deploy(self, template: Path, stack: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`sam deploy`, whose exit code is the reader's to judge."""
        usual = ("--resolve-s3", "--no-confirm-changeset", "--no-fail-on-empty-changeset", "--capabilities")
        named = ("--template-file", str(template), "--stack-name", stack)
        allowed = ("CAPABILITY_IAM", "CAPABILITY_NAMED_IAM")
        return self.sam("deploy", *named, *usual, *allowed, *arguments, folder=template.parent)

    def apply(self, template: str, stack: str, **parameters: str) -> str:
        """Creates or updates without SAM CLI, in a tenth of a second; the status it ends in."""
        given = [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()]
        known = self.call("cloudformation", "list_stacks")["StackSummaries"]
        there = {one["StackName"] for one in known if one["StackStatus"] != "DELETE_COMPLETE"}
        operation = "update_stack" if stack in there else "create_stack"
        allowed = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
        what = {"StackName": stack, "TemplateBody": template, "Parameters": given, "Capabilities": allowed}
        self.call("cloudformation", operation, **what)
        return self.ended(stack)

    def failures(self, stack: str) -> list[str]:
        """What CloudFormation says of each resource that failed, newest first."""
        events = self.call("cloudformation", "describe_stack_events", StackName=stack)["StackEvents"]
        failed = [event for event in events if event["ResourceStatus"].endswith("_FAILED")]
        return [f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}" for event in failed]

    def stack(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("cloudformation", "describe_stacks", StackName=name)["Stacks"][0]
        return found

    def outputs(self, stack: str) -> dict[str, str]:
        return {one["OutputKey"]: one["OutputValue"] for one in self.stack(stack).get("Outputs", [])}

    def delete(self, stack: str) -> str:
        """The status it ends in. `sam delete` looks every 30 s only."""
        arn = self.stack(stack)["StackId"]
        self.call("cloudformation", "delete_stack", StackName=stack)
        return self.ended(arn)

    def ended(self, stack: str) -> str:
        """The status, once nothing is in progress."""
        end = time.monotonic() + STACK_SECONDS
        while (status := str(self.stack(stack)["StackStatus"])).endswith("_IN_PROGRESS"):
            assert time.monotonic() < end, status
            time.sleep(0.05)
        return status


@contextmanager
def emulated_cloud(database: str, extra: dict[str, str]) -> Iterator[Cloud]:
    """On a free port, with nothing in it. A DBInstance says that it is at `database` (host:port).

    Its functions inherit `extra` (such as PGSSLROOTCERT), unless their template sets the same.
    """
    [port] = unused_ports(1)
    url = f"http://localhost:{port}"
    python = str(environment_of("cloud") / "bin" / "python")
    outside = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environment = outside | CREDENTIALS | ALONE | {"AWS_ENDPOINT_URL": url}
    with tempfile.TemporaryDirectory(prefix="slipway-cloud-") as folder:
        log = Path(folder) / "cloud.log"
        variables = environment | settings(folder, port) | {"STAND_IN_DATABASE": database} | extra
        with log.open("wb") as file, running([python, "-m", PROGRAM], variables, file) as process:
            wait_for(f"{url}/_ministack/health", process, log)
            with calling(python, environment) as calls:
                yield Cloud(log, calls, environment)


def settings(folder: str, port: int) -> dict[str, str]:
    """ministack's own: on this machine alone, functions as processes, nothing listening beside it."""
    return {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_ACCOUNT_ID": ACCOUNT,  # whose HTTP APIs an unsigned request reaches
        "MINISTACK_HOST": "localhost",
        "LAMBDA_EXECUTOR": "local",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "TMPDIR": folder,
    }


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=START_SECONDS):
                return
        except OSError:
            time.sleep(0.02)
    raise AssertionError(f"the emulated AWS did not start:\n{log.read_text()}")


@contextmanager
def calling(python: str, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """One process for all calls: boto3 takes half a second to import."""
    command = [python, "-m", "tests.stand_ins.calls"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, text=True) as calls:
        yield calls
