"""The container's commands, without a container; tests/container has the whole of it."""

import logging
import signal
from collections.abc import Iterator

import pytest
from sqlalchemy.engine import URL

from app.entrypoints import container
from tests import scratch


@pytest.fixture(autouse=True)
def process() -> Iterator[None]:
    """What the program sets for its process is set back."""
    root = logging.getLogger()
    before = root.handlers[:], root.level, signal.getsignal(signal.SIGTERM)
    yield
    root.handlers[:], root.level = before[:2]
    signal.signal(signal.SIGTERM, before[2])


@pytest.fixture
def url(server: URL, monkeypatch: pytest.MonkeyPatch) -> Iterator[URL]:
    with scratch.database(server) as url:
        monkeypatch.setenv("DATABASE_URL", url.render_as_string(hide_password=False))
        yield url


def test_migrate_and_seed(
    url: URL, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    container.main("migrate")
    assert '"verdict":"current"' in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r"slipway: who\? give email and password, or set"):
        container.main("seed")
    monkeypatch.setenv("ADMINISTRATOR_EMAIL", "admin@example.com")
    monkeypatch.setenv("ADMINISTRATOR_PASSWORD", "long enough for a test")
    for seeded in ("true", "false"):
        container.main("seed")
        said = capsys.readouterr().out
        assert f'"seeded":{seeded}' in said
        assert "long enough" not in said


def test_it_waits_and_gives_up(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://app:a-secret@127.0.0.1:1/app")
    monkeypatch.setenv("DATABASE_WAIT_SECONDS", "1")
    with pytest.raises(SystemExit, match="slipway: the database did not answer: ") as ended:
        container.main("migrate")
    said = capsys.readouterr().out
    assert "waiting for the database" in said
    assert "a-secret" not in said + str(ended.value)


@pytest.mark.parametrize(
    ("command", "workers", "line"),
    [
        ("fly", "1", "slipway: fly is no command; these are: serve, migrate, seed"),
        ("serve", "0", "slipway: WORKERS: Input should be greater than or equal to 1"),
    ],
)
def test_what_cannot_run_says_why(
    monkeypatch: pytest.MonkeyPatch, command: str, workers: str, line: str
) -> None:
    monkeypatch.setenv("WORKERS", workers)
    with pytest.raises(SystemExit, match=line):
        container.main(command)
