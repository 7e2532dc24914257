"""The mail test over HTTP."""

from fastapi import APIRouter, Request

from app import NAME
from app.foundation.auth import Administrator
from app.foundation.mail import send_mail
from app.foundation.settings import Settings
from app.resources.mail.schemas import MailSent, MailTest

router = APIRouter(prefix="/v1/mail", tags=["mail"])


@router.post("/test")
def send_test_mail(test: MailTest, request: Request, _: Administrator) -> MailSent:
    """Sends a message now, and answers with what the mail server said if it refuses."""
    settings: Settings = request.app.state.settings
    subject = f"{NAME} ({settings.environment}) can send mail"
    text = f"This is the test message of {NAME} in {settings.environment}. Nothing needs to be done.\n"
    message_id = send_mail(settings, test.recipient, subject, text)
    return MailSent(provider=settings.email_provider, message_id=message_id)
