"""A real mail server for tests: STARTTLS, sign-in, and refusals on request."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

USER, PASSWORD = "postman", "the-postmans-own"

GMAIL = (
    "535 5.7.8 Username and Password not accepted. For more information, go to "
    "https://support.google.com/mail/?p=BadCredentials af79cd13be357-794f3061475sm18893085a.74 - gsmtp"
)


class MailServer:
    """`inbox` holds what was accepted; `refusal` is answered instead, once the message is there."""

    def __init__(self) -> None:
        self.inbox: list[Message] = []
        self.sign_ins: list[bytes] = []
        self.refusal = ""
        self.port = 0

    def check_password(self, server: Any, session: Any, envelope: Any, how: str, given: Any) -> AuthResult:
        self.sign_ins.append(given.login)
        message = GMAIL if given.login == b"me@gmail.com" else None
        good = given == LoginPassword(USER.encode(), PASSWORD.encode())
        # handled=False: otherwise the server says nothing to a refused sign-in, and the client waits
        return AuthResult(success=good, handled=False, message=message)

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if address.startswith("nobody"):
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.refusal:
            return self.refusal
        self.inbox.append(BytesParser().parsebytes(envelope.content))
        return "250 OK"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def mail_server(folder: Path, *, tls: bool = True) -> Iterator[MailServer]:
    """On localhost. With `tls` it wants STARTTLS and a sign-in; without, it takes a password in the clear.

    folder/ca.pem signs its certificate.
    """
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    mail = MailServer()
    options: dict[str, Any] = {"authenticator": mail.check_password, "auth_require_tls": tls}
    if tls:
        options |= {"tls_context": context, "require_starttls": True, "auth_required": True}
    mail.port = free_port()
    controller = Controller(mail, hostname="localhost", port=mail.port, **options)
    controller.start()
    try:
        yield mail
    finally:
        controller.stop()
