"""Mail, sent now: to a mail server (SMTP) or, in development, to the console."""

import logging
import smtplib
import socket
import ssl
from email.message import EmailMessage
from email.utils import localtime, make_msgid

from app.foundation.errors import BadGateway
from app.foundation.settings import Settings

log = logging.getLogger(__name__)

SECONDS = 10


class MailFailed(BadGateway):
    """What the mail server said, and what to do."""


def send_mail(settings: Settings, recipient: str, subject: str, text: str) -> str:
    """Sends one message and returns its Message-ID. Raises MailFailed."""
    message = EmailMessage()
    message["From"] = str(settings.sender_email)
    message["To"] = recipient
    message["Subject"] = subject
    message["Date"] = localtime()
    message["Message-ID"] = make_msgid(domain=str(settings.sender_email).partition("@")[2])
    message.set_content(text)
    if settings.email_provider == "smtp":
        send_by_smtp(settings, message)
    elif settings.developing:
        print(f"\n{message.as_string()}", flush=True)  # noqa: T201  # this is what console means
    else:
        log.warning("mail not sent: EMAIL_PROVIDER=console prints it in development only")
    log.info("mail", extra={"provider": settings.email_provider, "message_id": message["Message-ID"]})
    return str(message["Message-ID"])


def send_by_smtp(settings: Settings, message: EmailMessage) -> None:
    try:
        with connect(settings) as server:
            if settings.smtp_port != smtplib.SMTP_SSL_PORT:
                encrypt(settings, server)
            if settings.smtp_username and settings.smtp_password:
                server.login(settings.smtp_username, settings.smtp_password.get_secret_value())
            server.send_message(message)
    except (OSError, smtplib.SMTPException, UnicodeError) as error:
        log.warning("mail failed", extra={"error": str(error)[:300]})
        raise MailFailed(explain(settings, error)) from error


def connect(settings: Settings) -> smtplib.SMTP:
    """Port 465 is TLS from the start."""
    host, port = str(settings.smtp_server), settings.smtp_port
    if port == smtplib.SMTP_SSL_PORT:
        return smtplib.SMTP_SSL(host, port, timeout=SECONDS, context=ssl.create_default_context())
    return smtplib.SMTP(host, port, timeout=SECONDS)


def encrypt(settings: Settings, server: smtplib.SMTP) -> None:
    """STARTTLS; a server without it may be used only where no password is sent."""
    server.ehlo()
    if server.has_extn("starttls") or settings.smtp_username:
        server.starttls(context=ssl.create_default_context())


def explain(settings: Settings, error: Exception) -> str:
    """One paragraph for whoever set the mail server up."""
    where = f"{settings.smtp_server}:{settings.smtp_port}"
    match error:
        case smtplib.SMTPAuthenticationError():
            return f"{where} refused the sign-in: {said(error)}. {sign_in_advice(said(error))}"
        case smtplib.SMTPRecipientsRefused():
            code, text = next(iter(error.recipients.values()))
            return f"{where} refused the recipient: {code} {decoded(text)}. Check the address."
        case smtplib.SMTPSenderRefused():
            return f"{where} refused the sender: {said(error)}. SENDER_EMAIL must be one it may send for."
        case smtplib.SMTPConnectError() | smtplib.SMTPHeloError():
            return f"{where} refused the connection: {said(error)}."
        case smtplib.SMTPResponseException():
            return f"{where} refused the message: {said(error)}."
        case smtplib.SMTPNotSupportedError():
            return f"{where} cannot do what is asked: {error}. Port 587 with STARTTLS or 465 is wanted."
        case ssl.SSLError():
            return f"{where} has a certificate that is not trusted, or no TLS on this port: {error.reason}."
        case UnicodeError():
            return f"{where}, SMTP_USERNAME or SMTP_PASSWORD has characters that mail servers do not know."
        case socket.gaierror():
            return f"No address is known for {settings.smtp_server}. Check SMTP_SERVER."
        case TimeoutError():
            return f"{where} did not answer in {SECONDS} s. Check SMTP_PORT and the network's way out."
        case _:
            return f"{where} cannot be used: {error}. Check SMTP_SERVER and SMTP_PORT."


def sign_in_advice(reply: str) -> str:
    if "gsmtp" in reply:  # how Gmail's replies end, as in dawidd6/action-send-mail issue 205
        return (
            "Gmail takes no account password here: turn on 2-Step Verification, make an app password at "
            "https://myaccount.google.com/apppasswords and set it as SMTP_PASSWORD."
        )
    return "Check SMTP_USERNAME and SMTP_PASSWORD."


def said(error: smtplib.SMTPResponseException) -> str:
    return f"{error.smtp_code} {decoded(error.smtp_error)}"


def decoded(text: bytes | str) -> str:
    return text.decode(errors="replace") if isinstance(text, bytes) else text
