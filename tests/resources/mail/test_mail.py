"""POST /v1/mail/test, through a real mail server with STARTTLS and sign-in."""

import smtplib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from pydantic import SecretStr
from sqlalchemy.orm import Session

from app.api import create_app
from app.foundation.mail import explain
from app.foundation.settings import Settings
from tests.mail_server import PASSWORD, USER, MailServer, free_port, mail_server
from tests.people import ADMIN, Person, problem, sign_in

# (recipient, setting=..) -> the answer
SendTest = Callable[..., Response]

WITHOUT_SIGN_IN = {"smtp_username": None, "smtp_password": None}


@pytest.fixture
def send(settings: Settings, make_session: Callable[[], Session], admin: Person) -> SendTest:
    smtp = {
        "email_provider": "smtp",
        "smtp_server": "localhost",
        "smtp_username": USER,
        "smtp_password": SecretStr(PASSWORD),
    }

    def call(recipient: str = "ada@example.com", **changes: Any) -> Response:
        client = TestClient(create_app(settings.model_copy(update=smtp | changes), make_session))
        person = sign_in(client, ADMIN["email"], ADMIN["password"])
        return person.call("POST", "/v1/mail/test", json={"recipient": recipient})

    return call


@pytest.fixture
def mail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    with mail_server(tmp_path) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        yield server


def test_a_message_arrives(send: SendTest, mail: MailServer) -> None:
    answer = send(smtp_port=mail.port)
    assert answer.status_code == 200, answer.text
    [message] = mail.inbox
    assert answer.json() == {"provider": "smtp", "message_id": message["Message-ID"]}
    assert (message["From"], message["To"]) == ("no-reply@example.com", "ada@example.com")
    assert message["Subject"] == "slipway (test) can send mail"
    assert message["Date"]


def test_a_refused_password_says_what_to_do(send: SendTest, mail: MailServer) -> None:
    answer = send(smtp_port=mail.port, smtp_password=SecretStr("hunter2"))
    detail = problem(answer, 502, "mail_failed")["detail"]
    assert f"localhost:{mail.port} refused the sign-in: 535" in detail
    assert "Check SMTP_USERNAME and SMTP_PASSWORD" in detail
    assert "hunter2" not in detail


def test_gmails_refusal_tells_of_app_passwords(send: SendTest, mail: MailServer) -> None:
    answer = send(smtp_port=mail.port, smtp_username="me@gmail.com")
    assert "https://myaccount.google.com/apppasswords" in problem(answer, 502, "mail_failed")["detail"]


def test_a_refused_recipient(send: SendTest, mail: MailServer) -> None:
    answer = send("nobody@example.com", smtp_port=mail.port)
    assert "refused the recipient: 550 5.1.1 no such mailbox" in problem(answer, 502, "mail_failed")["detail"]


def test_a_refused_message(send: SendTest, mail: MailServer) -> None:
    mail.refusal = "554 5.7.1 looks like spam"
    detail = problem(send(smtp_port=mail.port), 502, "mail_failed")["detail"]
    assert "refused the message: 554 5.7.1 looks like spam" in detail


def test_a_certificate_of_unknown_origin(
    send: SendTest, mail: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    assert "certificate" in problem(send(smtp_port=mail.port), 502, "mail_failed")["detail"]
    assert not mail.inbox


def test_no_password_goes_out_unencrypted(send: SendTest, tmp_path: Path) -> None:
    with mail_server(tmp_path, tls=False) as plain:
        detail = problem(send(smtp_port=plain.port), 502, "mail_failed")["detail"]
        assert "STARTTLS" in detail
        assert not plain.sign_ins
        assert not plain.inbox


def test_a_server_without_sign_in_or_tls(send: SendTest, tmp_path: Path) -> None:
    with mail_server(tmp_path, tls=False) as plain:
        assert send(smtp_port=plain.port, **WITHOUT_SIGN_IN).status_code == 200
        assert len(plain.inbox) == 1


@pytest.mark.parametrize(
    "change",
    [{"smtp_server": ".example.com"}, {"smtp_server": "a" * 64}, {"smtp_password": SecretStr("pässword")}],
)
def test_settings_that_mail_servers_cannot_know(
    send: SendTest, mail: MailServer, change: dict[str, Any]
) -> None:
    detail = problem(send(smtp_port=mail.port, **change), 502, "mail_failed")["detail"]
    assert "SMTP_" in detail


def test_nobody_listens(send: SendTest) -> None:
    detail = problem(send(smtp_port=free_port()), 502, "mail_failed")["detail"]
    assert "cannot be used" in detail
    assert "Check SMTP_SERVER and SMTP_PORT" in detail


def test_no_such_server(send: SendTest) -> None:
    detail = problem(send(smtp_server="mail.invalid"), 502, "mail_failed")["detail"]
    assert detail == "No address is known for mail.invalid. Check SMTP_SERVER."


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError(), "did not answer in 10 s"),
        (
            smtplib.SMTPSenderRefused(553, b"not yours", "a@example.com"),
            "SENDER_EMAIL must be one it may send for",
        ),
    ],
)
def test_what_cannot_be_brought_about_in_a_moment(settings: Settings, error: Exception, words: str) -> None:
    assert words in explain(settings, error)


def test_the_console_prints_in_development_only(
    settings: Settings,
    make_session: Callable[[], Session],
    admin: Person,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    answer = admin.call("POST", "/v1/mail/test", json={"recipient": "ada@example.com"})
    assert answer.json()["provider"] == "console"
    assert "To: ada@example.com" in capsys.readouterr().out
    staging = settings.model_copy(update={"environment": "staging"})
    client = TestClient(create_app(staging, make_session))
    person = sign_in(client, ADMIN["email"], ADMIN["password"])
    assert person.call("POST", "/v1/mail/test", json={"recipient": "ada@example.com"}).status_code == 200
    assert "ada@example.com" not in capsys.readouterr().out
    assert "mail not sent" in caplog.text


def test_a_recipient_is_an_address(admin: Person) -> None:
    problem(
        admin.call("POST", "/v1/mail/test", json={"recipient": "a\r\nBcc: b@c.de"}), 422, "invalid_request"
    )
