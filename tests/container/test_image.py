"""What the image does: start, wait, serve, drain, recover."""

import asyncio
import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import httpx2
import psycopg
import pytest

from ops.environment import ROOT
from ops.terminal import say
from tests.container.conftest import ADMIN, SECRET, Container, docker
from tests.people import problem, sign_in

pytestmark = pytest.mark.container

IN_FLIGHT = 500


def test_it_runs_as_anyone_on_a_read_only_file_system(run: Any, database: Container) -> None:
    container = run(PREPARE_AT_START="yes", options=("--user=12345:54321",), **ADMIN).healthy()
    assert httpx2.get(f"{container.address}/version").json()["commit"] == "0123abcd"
    said = docker("exec", container.id, "sh", "-c", "id -u; touch /app/x /tmp/x /x", check=False)
    assert "12345" in said.splitlines()
    assert said.count("Read-only file system") == 3, said
    # it is nobody by itself, and has no compiler
    assert docker("inspect", "--format", "{{.Config.User}}", "slipway:test") == "10001:10001"
    assert not {"gcc", "cc"} & set(docker("exec", container.id, "ls", "/usr/bin").split())


def test_its_commands(run: Any, database: Container) -> None:
    code, line = run("migrate").ended()
    assert (code, json.loads(line)["answer"]["verdict"]) == (0, "current"), line
    for seeded in (True, False):
        code, line = run("seed", **ADMIN).ended()
        assert (code, json.loads(line)["answer"]["seeded"]) == (0, seeded), line
    assert run("fly").ended() == (1, "slipway: fly is no command; these are: serve, migrate, seed")
    code, line = run("seed").ended()
    assert (code, line[:38]) == (1, "slipway: who? give email and password,")
    code, line = run(WORKERS="none").ended()
    assert (code, line[:46]) == (1, "slipway: WORKERS: Input should be a valid inte")


def test_it_waits_for_the_database_and_gives_up_in_time(run: Any) -> None:
    """There is none by that name."""
    began = time.monotonic()
    container = run(DATABASE_WAIT_SECONDS="3")
    code, line = container.ended()
    assert (code, time.monotonic() - began < 20) == (1, True)
    assert line.startswith("slipway: the database did not answer: ")
    assert container.logs().count("waiting for the database") >= 2


def test_a_stop_loses_no_request(served: Container, client: httpx2.Client, owner: psycopg.Connection) -> None:
    """All wait for a table that somebody holds; it is told to stop, and only then they can be answered."""
    token = sign_in(client, *ADMIN.values()).token
    where = urlsplit(served.address)
    request = f"GET /v1/users/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()

    async def call() -> int:
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        writer.write(request)
        status = int((await reader.readline()).split()[1])
        writer.close()
        return status

    async def stop_amid(count: int) -> list[int]:
        calls = [asyncio.create_task(call()) for _ in range(count)]
        while await asyncio.to_thread(being_answered, served) < count:
            assert not any(call.done() for call in calls)
        docker("kill", "--signal=TERM", served.id)
        end = time.monotonic() + 10
        while await asyncio.to_thread(listening, served):
            assert time.monotonic() < end
        await asyncio.to_thread(owner.rollback)
        return await asyncio.gather(*calls)

    client.close()  # its own connection would be counted
    owner.execute("LOCK TABLE users")
    began = time.monotonic()
    assert asyncio.run(stop_amid(IN_FLIGHT)) == [200] * IN_FLIGHT
    assert served.ended()[0] == 0
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_outlasts_the_drain_is_given_up(run: Any, database: Container, workers: str) -> None:
    """ECS would kill it at 30 s."""
    container = run(PREPARE_AT_START="yes", WORKERS=workers, **ADMIN).healthy()
    given = f"postgresql://app:{SECRET}@127.0.0.1:{database.port(5432)}/app"
    with httpx2.Client(base_url=container.address, timeout=60) as client:
        token = sign_in(client, *ADMIN.values()).token

        def call() -> None:
            client.get("/v1/users/me", headers={"Authorization": f"Bearer {token}"})

        with psycopg.connect(given) as owner, ThreadPoolExecutor() as pool:
            owner.execute("LOCK TABLE users")
            hanging = pool.submit(call)
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            while owner.execute(waiting).fetchone() == (0,):
                assert not hanging.done()
            began = time.monotonic()
            docker("kill", "--signal=TERM", container.id)
            assert container.ended()[0] == 0
            assert 20 < time.monotonic() - began < 30
            with pytest.raises(httpx2.TransportError):
                hanging.result()


@pytest.mark.parametrize(("trusted", "told"), [("127.0.0.1", 0), ("0.0.0.0/0", 1)], ids=["none", "all"])
def test_who_calls_is_told_by_trusted_proxies_alone(
    run: Any, database: Container, trusted: str, told: int
) -> None:
    container = run(WORKERS="2", TRUSTED_PROXIES=trusted)
    container.until(lambda: "serving" in container.logs())
    far = {"X-Forwarded-For": "203.0.113.9"}
    container.until(lambda: answers(f"{container.address}/version", far))
    assert container.logs().count('"client":"203.0.113.9"') == told


def answers(url: str, headers: dict[str, str]) -> bool:
    try:
        return httpx2.get(url, headers=headers).status_code == 200
    except httpx2.TransportError:
        return False


def sockets(container: Container) -> list[list[str]]:
    """Those of port 8000 (hexadecimal 1F40), as proc_net_tcp(5) has them: address, state, queues."""
    lines = docker("exec", container.id, "cat", "/proc/net/tcp").splitlines()[1:]
    return [line.split()[1:5] for line in lines if line.split()[1].endswith(":1F40")]


def being_answered(container: Container) -> int:
    """Connections whose request was read: ESTABLISHED (01), and nothing is left to receive."""
    return sum(state == "01" and queues.endswith(":00000000") for _, _, state, queues in sockets(container))


def listening(container: Container) -> bool:
    return any(state == "0A" for _, _, state, _ in sockets(container))


def test_a_lost_database_is_a_problem_until_it_is_back(
    served: Container, client: httpx2.Client, database: Container
) -> None:
    token = sign_in(client, *ADMIN.values()).token
    signed = {"Authorization": f"Bearer {token}"}
    docker("stop", "--time=1", database.id)
    problem(client.get("/v1/users/me", headers=signed), 503, "database_unavailable")
    assert client.get("/health").status_code == 200
    docker("start", database.id)
    served.until(lambda: client.get("/v1/users/me", headers=signed).status_code == 200)


def test_it_is_hardly_larger_than_its_dependencies(image: str, capsys: pytest.CaptureFixture[str]) -> None:
    plain = """
FROM python:3.13-slim
COPY requirements/container.txt /
RUN pip install --quiet --no-cache-dir --root-user-action=ignore --require-hashes -r /container.txt
"""
    command = ["docker", "build", "--quiet", "--tag=slipway:plain", "--file=-", "."]
    subprocess.run(command, cwd=ROOT, input=plain, text=True, check=True, stdout=subprocess.DEVNULL)
    ours, theirs = (
        int(docker("image", "inspect", "--format", "{{.Size}}", name)) for name in (image, "slipway:plain")
    )
    with capsys.disabled():
        say(f"\nimage: {ours / 1e6:.0f} MB; python:3.13-slim and the requirements: {theirs / 1e6:.0f} MB")
    assert ours <= 1.15 * theirs


def test_the_lambda_image_answers_an_event(run: Any, image: str) -> None:
    """In the emulator that the base image has; the same application, with no database here."""
    docker("build", "--quiet", "--tag=slipway:lambda", "--target=lambda", "--build-arg=COMMIT=0123abcd", ".")
    container = run(target="slipway:lambda", options=("--publish=127.0.0.1::8080", "--tmpfs=/tmp"))
    url = f"http://127.0.0.1:{container.port(8080)}/2015-03-31/functions/function/invocations"
    event = json.loads((ROOT / "events/http-api-version.json").read_text())
    end = time.monotonic() + 20
    while True:
        try:
            answer = httpx2.post(url, json=event, timeout=20).json()
        except httpx2.TransportError:
            assert time.monotonic() < end, container.logs()
        else:
            break
    assert answer["statusCode"] == 200, answer
    assert json.loads(answer["body"])["commit"] == "0123abcd"
