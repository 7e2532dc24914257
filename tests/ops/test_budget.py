"""The budget of connections: its arithmetic, and what AWS is asked for it."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest
from botocore.exceptions import ClientError

from app.foundation.database import CONNECTIONS
from app.foundation.settings import Settings
from ops.cloud import budget
from ops.cloud.account import Account
from ops.environment import ROOT
from tests.stand_ins.endpoint import Endpoint

ACCOUNT = Account("staging", "eu-central-1", "123456789012")
# AWS CloudFormation, RDS and EC2 API References: DescribeStacks, DescribeDBInstances, DescribeInstanceTypes
STACK = """<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>slipway-staging-database
</StackName><Outputs><member><OutputKey>Server</OutputKey><OutputValue>the-server</OutputValue></member>
</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>"""
SERVER = """<DescribeDBInstancesResponse><DescribeDBInstancesResult><DBInstances><DBInstance>
<DBInstanceClass>{}</DBInstanceClass></DBInstance></DBInstances></DescribeDBInstancesResult>
</DescribeDBInstancesResponse>"""
MACHINE = """<DescribeInstanceTypesResponse><instanceTypeSet><item><memoryInfo><sizeInMiB>{}</sizeInMiB>
</memoryInfo></item></instanceTypeSet></DescribeInstanceTypesResponse>"""
ERROR = "<Response><Errors><Error><Code>{}</Code><Message>no</Message></Error></Errors></Response>"
BURST = "a lower ThrottlingBurstLimit in template.yaml"
MICRO, SMALL = ("db.t4g.micro", 1024), ("db.t4g.small", 2048)


def runs(kind: str, tasks: str = "1-4", balancer: str = "yes") -> dict[str, str]:
    return {"Runs": kind, "Tasks": tasks, "LoadBalancer": balancer}


def limit(at_once: int) -> tuple[int, object]:
    return 200, {"AccountLimit": {"ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": at_once}}


def xml(text: str, status: int = 200) -> tuple[int, object]:
    return status, text.encode()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Endpoint]]:
    """Has one server, on a machine of so many MiB or an error, and so many functions at once."""
    started: list[Endpoint] = []

    def begin(server: tuple[str, int | str], at_once: int = 1000) -> Endpoint:
        name, memory = server
        machine = xml(MACHINE.format(memory)) if isinstance(memory, int) else xml(ERROR.format(memory), 400)
        endpoint = Endpoint(xml(STACK), xml(SERVER.format(name)), machine, limit(at_once))
        Thread(target=endpoint.serve_forever, args=(0.02,), daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{endpoint.host}")
        started.append(endpoint)
        return endpoint

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    yield begin
    for endpoint in started:
        endpoint.shutdown()
        endpoint.server_close()


@pytest.fixture
def small_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "burst", lambda: 40)


@pytest.mark.parametrize(
    ("memory", "connections", "seen"),
    # the last: what servers of that size had (gist.github.com/guizmaii), and AWS's example in its own measure
    [(1024, 85, 85), (2048, 192, 198), (4096, 406, 413), (8192, 834, 856), (16384, 1690, 1716)],
)
def test_no_more_connections_are_counted_on_than_were_seen(memory: int, connections: int, seen: int) -> None:
    assert budget.most_of(memory) == connections <= seen


def test_a_large_server_has_no_more_than_rds_allows() -> None:
    assert budget.most_of(2**20) == 5000


@pytest.mark.parametrize(
    ("parameters", "tasks"),
    [
        (runs("lambda"), 0),
        (runs("container"), 4),
        (runs("both"), 4),
        (runs("both", "2-12"), 12),
        (runs("both", "2-12", "none"), 1),
    ],
)
def test_tasks_are_counted_twice_as_blue_and_green_run_side_by_side(
    parameters: dict[str, str], tasks: int
) -> None:
    assert budget.of_tasks(parameters) == 2 * tasks * budget.workers() * CONNECTIONS


@pytest.mark.parametrize(
    "text",
    ["WORKERS: 3", 'WORKERS: "3"', "- {Name: WORKERS, Value: 3}", '- Name: WORKERS\n  Value: "3"'],
)
def test_workers_are_read_from_the_template(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr(budget, "TEMPLATE", tmp_path / "template.yaml")
    budget.TEMPLATE.write_text("Tasks: 4\n")
    assert budget.workers() == Settings.model_fields["workers"].default
    budget.TEMPLATE.write_text(text)
    assert budget.workers() == 3


def test_figures_are_those_of_the_code_and_of_the_template() -> None:
    door = (ROOT / "src/app/entrypoints/api_lambda.py").read_text()
    assert re.findall(r"\bstart\((.*)\)", door) == [f"connections={budget.PER_ENVIRONMENT}"]
    migration = (ROOT / "src/app/migration/actions.py").read_text()
    assert re.findall(r"make_engine\(.*connections=(\d+)", migration) == ["1"]
    assert budget.burst() > 0


@pytest.mark.parametrize(
    ("server", "parameters", "at_once", "said"),
    [
        (MICRO, runs("lambda"), 1000, "40 of functions + 0 of tasks + 7 kept free, of 85"),
        # AWS Lambda Developer Guide, "Lambda quotas": new accounts have less
        (MICRO, runs("lambda"), 10, "10 of functions + 0 of tasks + 7 kept free, of 85"),
        (MICRO, runs("both", "1-1"), 1000, "40 of functions + 30 of tasks + 7 kept free, of 85"),
        (MICRO, runs("both", "1-4", "none"), 1000, "40 of functions + 30 of tasks + 7 kept free, of 85"),
        (SMALL, runs("both"), 1000, "40 of functions + 120 of tasks + 7 kept free, of 192"),
        (SMALL, runs("container"), 1000, "0 of functions + 120 of tasks + 7 kept free, of 192"),
    ],
)
def test_what_fits_is_said(
    aws: Callable[..., Endpoint],
    small_burst: None,
    server: tuple[str, int],
    parameters: dict[str, str],
    at_once: int,
    said: str,
) -> None:
    asked = aws(server, at_once).asked
    assert budget.check(ACCOUNT, parameters) == f"Connections: {said}"
    assert b"StackName=slipway-staging-database" in asked[0].body
    assert b"DBInstanceIdentifier=the-server" in asked[1].body
    assert b"InstanceType.1=t4g." in asked[2].body


@pytest.mark.parametrize(
    ("burst", "parameters", "figures", "fixes"),
    [
        (79, runs("lambda"), "79 of functions + 0 of tasks", f"{BURST} or "),
        (40, runs("both"), "40 of functions + 120 of tasks", f"fewer Tasks or {BURST} or "),
        (40, runs("container"), "0 of functions + 120 of tasks", "fewer Tasks or "),
    ],
)
def test_what_does_not_fit_ends_the_program(
    aws: Callable[..., Endpoint],
    monkeypatch: pytest.MonkeyPatch,
    burst: int,
    parameters: dict[str, str],
    figures: str,
    fixes: str,
) -> None:
    monkeypatch.setattr(budget, "burst", lambda: burst)
    aws(MICRO)
    with pytest.raises(SystemExit) as ended:
        budget.check(ACCOUNT, parameters)
    assert ended.value.code == (
        f"slipway: {figures} + 7 kept free are more connections than the 85 of db.t4g.micro: "
        f"it takes {fixes}a larger Class of slipway-staging-database"
    )


@pytest.mark.parametrize(("server", "parameters"), [(MICRO, runs("lambda")), (SMALL, runs("both"))])
def test_what_is_deployed_by_itself_fits(
    aws: Callable[..., Endpoint], server: tuple[str, int], parameters: dict[str, str]
) -> None:
    aws(server)
    try:
        budget.check(ACCOUNT, parameters)
    except SystemExit as ended:
        pytest.fail(str(ended))


def test_more_for_the_fewest_than_for_the_most_is_refused() -> None:
    with pytest.raises(SystemExit, match="Tasks=4-1: the fewest are more than the most; write Tasks=1-4"):
        budget.of_tasks(runs("container") | {"Tasks": "4-1"})


def test_a_class_that_ec2_does_not_know_is_let_through(aws: Callable[..., Endpoint]) -> None:
    aws(("db.x9.huge", "InvalidInstanceType"))
    said = "Connections: not checked, as EC2 does not know the memory of db.x9.huge"
    assert budget.check(ACCOUNT, runs("both")) == said


def test_what_aws_refuses_is_told(aws: Callable[..., Endpoint]) -> None:
    aws(("db.t4g.micro", "UnauthorizedOperation"))
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        budget.check(ACCOUNT, runs("both"))
