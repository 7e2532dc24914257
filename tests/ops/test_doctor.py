"""What `make doctor` makes of what AWS, DNS and this machine answer, without a deployment."""

import re
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from app.foundation.invoke import NoAnswer
from app.foundation.settings import Settings
from ops.cloud.account import Account
from ops.cloud.stack import GO_ON, Stack
from ops.doctor import drifting, examination, names
from ops.terminal import fail
from tests.cloud.test_rules import NOT_VARIABLES
from tests.stand_ins.endpoint import Endpoint

ACCOUNT = Account("staging", "eu-central-1", "123456789012")
LAMBDA = {"Runs": "lambda", "DomainName": "", "HostedZoneId": "", "CertificateArn": ""}
CERTIFICATE = "arn:aws:acm:eu-central-1:1:certificate/1"
NAME, TARGET = "api.example.com", "d-1.execute-api.eu-central-1.amazonaws.com"

# settings that a place does without, and why
IMAGE, ROW = "the container's", "seed's event has it"
ANY = {
    "db_password": "nobody has one: IAM",
    "type_db": "there is one type",
    "migrations_dir": "found beside the code",
    "administrator_email": ROW,
    "administrator_password": ROW,
    "smtp_password": "in the secret",
}
WITHOUT = {
    "the file": {},
    "its app": {
        "commit": "the image has it",
        "admin_database_url": "one role does all",
        "migrations_dir": "found beside the code",
        "type_db": "there is one type",
        "db_auth": "a password",
        "secrets_arn": "no AWS",
    },
    "the functions": ANY
    | dict.fromkeys(("prepare_at_start", "database_wait_seconds", "workers", "trusted_proxies"), IMAGE),
    "the Task": ANY
    | {
        "prepare_at_start": "the gate does it",
        "database_wait_seconds": "its default will do",
        "workers": "its default will do",
        "admin_database_url": "the migration function's",
        "database_url": "DB_HOST and its fellows",
        "secret_key": "in the secret",
    },
}


def faults(given: Iterable[tuple[str, str] | str]) -> list[tuple[str, str]]:
    return [one for one in given if isinstance(one, tuple)]


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Answers one thing, whatever it is asked."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")

    @contextmanager
    def begin(status: int, answer: object) -> Iterator[None]:
        endpoint = Endpoint((status, answer))
        Thread(target=endpoint.serve_forever, args=(0.02,), daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{endpoint.host}")
        yield
        endpoint.shutdown()
        endpoint.server_close()

    return begin


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = {"MigrationFunctionName": "migration", "DomainTarget": TARGET}
    stack = SimpleNamespace(
        name="slipway-staging",
        status=lambda: "UPDATE_COMPLETE",
        outputs=lambda: outputs,
        resource=lambda _: None,
    )
    monkeypatch.setattr(Account, "stack", lambda *_: stack)


# settings


@pytest.mark.parametrize("place", examination.PLACES)
def test_each_exception_is_one_and_has_a_reason(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is named in the place is not among them, either."""
    file, part, pattern, without = examination.PLACES[place]
    assert set(without.split()) == set(WITHOUT[place])
    monkeypatch.setattr(examination, "PLACES", {place: (file, part, pattern, "")})
    missed = {fault.split()[0].lower() for fault, _ in faults(examination.settings())}
    assert missed == set(WITHOUT[place])


def test_the_functions_exceptions_are_those_of_the_templates_rules() -> None:
    assert set(examination.FUNCTIONS.split()) == set(NOT_VARIABLES)


def test_where_a_place_is_gone_all_of_it_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(examination, "ROOT", tmp_path)
    monkeypatch.setattr(examination, "PLACES", {"the Task": examination.PLACES["the Task"]})
    (tmp_path / "template.yaml").write_text("Resources: {}\n")
    assert len(faults(examination.settings())) == len(Settings.model_fields) - len(WITHOUT["the Task"])


# tools


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("echo 26.1.5+dfsg1", "docker 26.1.5"),
        (
            "echo 'Cannot connect to the Docker daemon.' >&2; exit 1",
            ("docker does not answer: Cannot connect to the Docker daemon.", "start docker, or mend it"),
        ),
        (None, ("docker is missing", "install docker, or put it on PATH")),
    ],
    ids=["sound", "no engine", "missing"],
)
def test_docker_is_asked_where_containers_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None, found: tuple[str, str] | str
) -> None:
    if text:
        (tmp_path / "docker").write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(examination, "uv", lambda *_: "")
    assert list(examination.tools({"Runs": "both"}))[2] == found
    assert len(list(examination.tools({"Runs": "lambda"}))) == 3


def test_the_python_of_the_build_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "uv", lambda *_: fail("no"))
    [(fault, fix)] = faults(examination.tools({"Runs": "lambda"}))
    assert fault == "no Python 3.13, which builds what Lambda runs"
    assert fix == ".venv/bin/uv python install 3.13"


# certificate and DNS


def issued(days: int, **more: object) -> dict[str, Any]:
    end = datetime.now(UTC) + timedelta(days=days, hours=1)
    return {"DomainName": NAME, "Status": "ISSUED", "Type": "AMAZON_ISSUED", "NotAfter": end} | more


RECORD = {
    "ResourceRecord": {"Name": "_1.api.example.com.", "Type": "CNAME", "Value": "_2.acm-validations.aws."}
}


@pytest.mark.parametrize(
    ("told", "fault", "fix"),
    [
        (
            {"DomainName": NAME, "Status": "PENDING_VALIDATION", "DomainValidationOptions": [RECORD]},
            "is not proven yet",
            "make the record _1.api.example.com. CNAME _2.acm-validations.aws.",
        ),
        (issued(0, Status="FAILED"), "is FAILED", "request another, and deploy with its CertificateArn"),
        (issued(29), "ends on ", "make the record again that proves it"),
        (issued(29, Type="IMPORTED"), "ends on ", "import another under its ARN"),
    ],
)
def test_a_certificate_that_will_not_do(told: dict[str, Any], fault: str, fix: str) -> None:
    found = names.certificate(told)
    assert isinstance(found, tuple)
    assert found[0].startswith(f"the certificate of {NAME} {fault}")
    assert found[1] == fix


def test_a_certificate_that_will_do() -> None:
    assert str(names.certificate(issued(31))).startswith(f"the certificate of {NAME} is good until 20")


def resolver(known: dict[str, tuple[str, list[str]]]) -> Any:
    """By name: what it is called in the end, and its addresses."""
    real = socket.getaddrinfo

    def getaddrinfo(host: str, *what: Any, **how: Any) -> list[tuple[Any, ...]]:
        if host == "127.0.0.1":
            return list(real(host, *what, **how))
        if host not in known:
            raise socket.gaierror(-2, "Name or service not known")
        asked = how.get("flags", 0) & socket.AI_CANONNAME
        called, addresses = known[host] if asked else ("", known[host][1])
        return [(2, 1, 6, "" if number else called, (one, 443)) for number, one in enumerate(addresses)]

    return getaddrinfo


@pytest.mark.parametrize(
    ("known", "sound"),
    [
        ({NAME: (NAME, ["192.0.2.1", "192.0.2.2"]), TARGET: (TARGET, ["192.0.2.2"])}, True),
        ({NAME: (TARGET, ["192.0.2.1"]), TARGET: (TARGET, ["192.0.2.9"])}, True),
        ({NAME: (NAME, ["192.0.2.1"]), TARGET: (TARGET, ["192.0.2.9"])}, False),
        ({TARGET: (TARGET, ["192.0.2.9"])}, False),
        ({}, False),
    ],
    ids=["alias", "CNAME", "elsewhere", "no record", "no network"],
)
@pytest.mark.usefixtures("deployed")
def test_a_name_leads_where_it_should(
    monkeypatch: pytest.MonkeyPatch, known: dict[str, tuple[str, list[str]]], *, sound: bool
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolver(known))
    [found] = names.name(ACCOUNT, LAMBDA | {"DomainName": NAME})
    wrong = (f"{NAME} does not lead to {TARGET}", f"make its record point to {TARGET}")
    assert found == (f"{NAME} leads to {TARGET}" if sound else wrong)


@pytest.mark.usefixtures("deployed")
def test_a_name_in_a_zone_needs_its_registrar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolver({}))
    [(_, fix)] = faults(names.name(ACCOUNT, LAMBDA | {"DomainName": NAME, "HostedZoneId": "Z1"}))
    assert fix == "let its registrar name the servers of zone Z1"


@pytest.mark.usefixtures("deployed")
def test_both_are_asked_of_a_name(aws: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolver({}))
    own = {"DomainName": NAME, "CertificateArn": CERTIFICATE}
    with aws(200, {"Certificate": {"DomainName": NAME, "Status": "EXPIRED"}}):
        found = faults(names.name(ACCOUNT, LAMBDA | own))
    assert [fault.split(NAME)[1].split()[0] for fault, _ in found] == ["is", "does"]


def test_a_certificate_that_a_deployment_waits_for(
    aws: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = SimpleNamespace(status=lambda: "CREATE_IN_PROGRESS", resource=lambda _: CERTIFICATE)
    monkeypatch.setattr(Account, "stack", lambda *_: stack)
    told = {"DomainName": NAME, "Status": "PENDING_VALIDATION", "DomainValidationOptions": [RECORD]}
    with aws(200, {"Certificate": told}):
        [(fault, fix)] = faults(names.name(ACCOUNT, LAMBDA | {"DomainName": NAME}))
    assert fault == f"the certificate of {NAME} is not proven yet"
    assert fix == "make the record _1.api.example.com. CNAME _2.acm-validations.aws."


# drift


def drifted(kind: str, *paths: str, status: str = "MODIFIED") -> dict[str, Any]:
    differences = [{"PropertyPath": path, "ActualValue": "2", "ExpectedValue": "1"} for path in paths]
    return {"ResourceType": kind, "StackResourceDriftStatus": status, "PropertyDifferences": differences}


WEIGHT = "/Actions/0/ForwardConfig/TargetGroups/0/Weight"
RULE = "AWS::ElasticLoadBalancingV2::ListenerRule"


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (drifted(RULE, WEIGHT, WEIGHT.replace("s/0", "s/1")), ""),
        (drifted("AWS::ECS::Service", "/DesiredCount"), ""),
        (drifted("AWS::Lambda::Alias", "/FunctionVersion"), ""),
        (drifted(RULE, WEIGHT, "/Priority"), "/Priority is 2, not 1"),
        (drifted("AWS::ECS::Service", "/LaunchType"), "/LaunchType is 2, not 1"),
        (drifted("AWS::Logs::LogGroup", "/DesiredCount"), "/DesiredCount is 2, not 1"),
        (drifted(RULE, status="DELETED"), "is deleted"),
    ],
)
def test_what_others_move_is_no_drift(one: dict[str, Any], said: str) -> None:
    assert drifting.differing(one) == said


def test_drift_is_waited_for_and_read_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAM_CLI_POLL_DELAY", "0.01")
    states = iter(["DETECTION_IN_PROGRESS", "DETECTION_FAILED"])
    rule = drifted(RULE, "/Priority") | {"LogicalResourceId": "Rule"}
    service = drifted("AWS::ECS::Service", status="DELETED") | {"LogicalResourceId": "Service"}
    pages = iter([{"StackResourceDrifts": [rule], "NextToken": "next"}, {"StackResourceDrifts": [service]}])
    client = SimpleNamespace(
        describe_stacks=lambda **_: {"Stacks": [{"StackStatus": "CREATE_COMPLETE"}]},
        detect_stack_drift=lambda **_: {"StackDriftDetectionId": "id"},
        describe_stack_drift_detection_status=lambda **_: {
            "DetectionStatus": next(states),
            "DetectionStatusReason": "Failed to detect drift on [Api]",
        },
        describe_stack_resource_drifts=lambda **_: next(pages),
    )
    other = SimpleNamespace(status=lambda: None)
    monkeypatch.setattr(Account, "stack", lambda _, part: other if part else Stack("slipway-dev", client))
    assert [fault for fault, _ in faults(drifting.drift(ACCOUNT, {}))] == [
        "slipway-dev was not looked at as a whole: Failed to detect drift on [Api]",
        "slipway-dev: Rule /Priority is 2, not 1",
        "slipway-dev: Service is deleted",
    ]


# what AWS answers


@pytest.mark.parametrize(
    ("runs", "most", "count"), [("lambda", 10, 1), ("lambda", 11, 0), ("container", 10, 0)]
)
def test_a_new_account_lets_few_functions_run(
    aws: Callable[..., Any], runs: str, most: int, count: int
) -> None:
    with aws(200, {"AccountLimit": {"UnreservedConcurrentExecutions": most}}):
        assert len(faults(examination.limits(ACCOUNT, {"Runs": runs}))) == count


def test_what_aws_refuses_to_show_is_found(
    aws: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    refusal = {"__type": "AccessDeniedException", "message": "not authorized"}
    with aws(403, refusal):
        assert examination.look("limits", lambda: examination.limits(ACCOUNT, LAMBDA)) == 1
    said = capsys.readouterr().out
    assert said.startswith("!!  limits: AWS does not tell: An error occurred (AccessDeniedException)")
    assert said.endswith(": allow it to who is signed in (DeployPolicy), or wait\n")


def test_what_was_found_before_a_refusal_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    def area() -> examination.Found:
        yield "one", "mend it"
        raise ClientError({"Error": {"Code": "Throttling", "Message": "slowly"}}, "DescribeStacks")

    assert examination.look("drift", area) == 2
    assert capsys.readouterr().out.startswith("!!  drift: one: mend it\n!!  drift: AWS does not tell: ")


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ({"verdict": "current"}, []),
        ({"verdict": "ahead"}, []),
        ({"verdict": "ahead", "broken_by": ["b"]}, ["b took away what the release needs"]),
        ({"verdict": "behind"}, ["behind for what is deployed, at a"]),
        ({"verdict": "empty", "to": None}, ["empty for what is deployed, at nothing"]),
        ({"verdict": "diverged"}, ["diverged for what is deployed, at a"]),
    ],
)
@pytest.mark.usefixtures("deployed")
def test_the_schemas_verdict(
    monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any], found: list[str]
) -> None:
    told = {"to": "a", "pending": [], "broken_by": []} | answer
    monkeypatch.setattr(examination, "invoke", lambda *_: told)
    given = faults(examination.schema(ACCOUNT, LAMBDA))
    assert [fault for fault, _ in given] == found
    assert all(fix and not re.search("[{}]", fix) for _, fix in given)


@pytest.mark.usefixtures("deployed")
def test_a_migration_function_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def invoke(*_: object) -> None:
        raise NoAnswer("migration:live failed: out of time")

    monkeypatch.setattr(examination, "invoke", invoke)
    assert examination.look("schema", lambda: examination.schema(ACCOUNT, LAMBDA)) == 1
    assert "migration:live failed: out of time" in capsys.readouterr().out


def listed(name: str, status: str = "UPDATE_COMPLETE", days: int = 0) -> dict[str, Any]:
    at = datetime.now(UTC) - timedelta(days=days, hours=1)
    early = at - timedelta(days=90)
    return {"StackName": name, "StackStatus": status, "CreationTime": early, "LastUpdatedTime": at}


PREVIEW = "slipway-staging-preview-x"


AGAIN = "deploy again, which offers to delete it"
DOWN = "make preview ENV=staging NAME=x DOWN=yes"


@pytest.mark.parametrize(
    ("stack", "found"),
    [
        (listed("slipway-staging"), []),
        (listed("slipway-staging", days=400), []),
        (listed(PREVIEW, days=6), []),
        (listed(PREVIEW, days=7), [(f"{PREVIEW} is 7 days old", DOWN)]),
        (listed(PREVIEW, "CREATE_FAILED"), [(f"{PREVIEW} is in CREATE_FAILED", DOWN)]),
        (listed(PREVIEW.replace("staging", "prod"), days=8), []),
        (listed("slipway-staging2", "ROLLBACK_COMPLETE"), []),
        (
            listed("slipway-staging", "ROLLBACK_COMPLETE"),
            [("slipway-staging is in ROLLBACK_COMPLETE", AGAIN)],
        ),
        (
            listed("slipway-staging", "DELETE_FAILED"),
            [("slipway-staging is in DELETE_FAILED", "see its events in the console")],
        ),
        (
            listed("slipway-staging", "UPDATE_ROLLBACK_FAILED"),
            [("slipway-staging is in UPDATE_ROLLBACK_FAILED", GO_ON)],
        ),
        (listed("slipway-staging", "UPDATE_IN_PROGRESS"), []),
    ],
)
def test_what_is_left_over(
    monkeypatch: pytest.MonkeyPatch, stack: dict[str, Any], found: list[tuple[str, str]]
) -> None:
    paginator = SimpleNamespace(paginate=lambda **_: [{"Stacks": [stack]}])
    client = SimpleNamespace(get_paginator=lambda _: paginator)
    monkeypatch.setattr(Account, "stack", lambda *_: Stack("slipway-staging", client))
    assert faults(examination.leftovers(ACCOUNT, LAMBDA)) == found


@pytest.mark.usefixtures("deployed")
def test_a_previews_alarm_is_not_the_releases(monkeypatch: pytest.MonkeyPatch) -> None:
    ringing = [{"AlarmName": f"slipway-staging-{name}"} for name in ("preview-x-Errors", "ServerErrors")]
    quiet = SimpleNamespace(describe_alarms=lambda **_: {"MetricAlarms": ringing})
    monkeypatch.setattr(boto3, "client", lambda *_, **__: quiet)
    [(fault, _)] = faults(examination.alarms(ACCOUNT, LAMBDA))
    assert fault == "slipway-staging-ServerErrors rings: "
