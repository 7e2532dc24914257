"""AWS as far as the application asks it: an account's keys, a clock, and endpoints that answer."""

import logging
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from threading import Thread

import pytest

from app.foundation import aws
from tests.stand_ins.endpoint import Endpoint

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
KEY, SECRET, TOKEN = "AKIDEXAMPLE", "a/secret+key-of-nobody", "a/session+token=="
ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:slipway-AbCdEf"
STRONG = "Zq3vX8nR5tYw2bKd7mPfJ9sLhGc4uEaN"
HIDDEN = (SECRET, TOKEN, STRONG, "hunter2", "X-Amz-Signature", "an-endpoints-token", "AnExample")


class Clock(datetime):
    """Stands where it is put; `step` passes at each look."""

    at, step = NOON, timedelta(0)

    @classmethod
    def now(cls, _: object = None) -> datetime:  # type: ignore[override]
        Clock.at += Clock.step
        return Clock.at


def of_role(name: str, until: datetime = NOON + timedelta(hours=1)) -> tuple[int, object]:
    expires = f"{until:%Y-%m-%dT%H:%M:%SZ}"
    return 200, {"AccessKeyId": name, "SecretAccessKey": SECRET, "Token": TOKEN, "Expiration": expires}


@pytest.fixture
def endpoint() -> Iterator[Callable[..., Endpoint]]:
    """Starts one."""
    started: list[Endpoint] = []

    def begin(*answers: tuple[int, object]) -> Endpoint:
        started.append(Endpoint(*answers))
        Thread(target=started[-1].serve_forever, args=(0.02,), daemon=True).start()
        return started[-1]

    yield begin
    for server in started:
        server.shutdown()
        server.server_close()


@pytest.fixture
def nothing_of_aws(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Iterator[None]:
    """No variable and nothing kept, before and after; and what is hidden is in no log."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "PG"))]:
        monkeypatch.delenv(name)
    aws.forget()
    with caplog.at_level(logging.DEBUG):
        yield
    aws.forget()
    written = caplog.text + "".join(capfd.readouterr())
    assert not [hidden for hidden in HIDDEN if hidden in written]


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch, nothing_of_aws: None) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> type[Clock]:
    monkeypatch.setattr(Clock, "at", NOON)
    monkeypatch.setattr(Clock, "step", timedelta(0))
    monkeypatch.setattr(aws, "datetime", Clock)
    return Clock
