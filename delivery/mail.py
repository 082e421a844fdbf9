"""Plain-text mail by SMTP. Its Message-ID is the idempotency key."""

import asyncio
import smtplib
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import localtime

from delivery.credentials import read_secret
from delivery.http_requests import TIMEOUT, trusted
from delivery.message import DeliveryAnswer, Message, unreachable
from delivery.targets import EmailTarget, MailSecurity
from inventory.notifications import one_line


async def send(target: EmailTarget, message: Message) -> DeliveryAnswer:
    """Raises `TargetSecretError`."""
    password = None if target.username is None else read_secret(target.password_env, target.password_file)
    try:
        context = await asyncio.to_thread(trusted, target.ca_file)
    except OSError as error:
        return DeliveryAnswer(False, f"ca_file: {error.strerror or type(error).__name__}")
    try:
        async with asyncio.timeout(TIMEOUT.total_seconds()):
            return await asyncio.to_thread(_send, target, _mail(target, message), password, context)
    except TimeoutError:
        return DeliveryAnswer(False, f"no answer within {TIMEOUT.total_seconds():.0f} seconds", retryable=True)
    except smtplib.SMTPRecipientsRefused as error:
        code = min(code for code, _ in error.recipients.values())
        return DeliveryAnswer(False, f"answered {code}: no recipient is accepted", retryable=code < 500)
    except smtplib.SMTPAuthenticationError as error:
        # After a password rotation the new password may come here later.
        return DeliveryAnswer(False, f"answered {error.smtp_code}: the sign-in is refused", retryable=True)
    except smtplib.SMTPResponseException as error:
        body = one_line(error.smtp_error.decode("utf-8", "replace")) if isinstance(error.smtp_error, bytes) else ""
        return DeliveryAnswer(False, f"answered {error.smtp_code}", retryable=error.smtp_code < 500, body=body)
    except smtplib.SMTPNotSupportedError:
        return DeliveryAnswer(False, "the mail server offers no STARTTLS, or no sign-in", retryable=True)
    except (smtplib.SMTPException, OSError) as error:
        return DeliveryAnswer(False, unreachable(error), retryable=True)


def _send(target: EmailTarget, mail: EmailMessage, password: str | None, context: ssl.SSLContext) -> DeliveryAnswer:
    timeout = TIMEOUT.total_seconds() / 2
    if target.security is MailSecurity.TLS:
        server: smtplib.SMTP = smtplib.SMTP_SSL(target.host, target.port, timeout=timeout, context=context)
    else:
        server = smtplib.SMTP(target.host, target.port, timeout=timeout)
    with server:
        if target.security is MailSecurity.STARTTLS:
            server.starttls(context=context)
        if target.username is not None and password is not None:
            server.login(target.username, password)
        refused = server.send_message(mail, target.sender, list(target.recipients))
    if refused:
        # Another attempt would send the mail again to the recipients who have it.
        return DeliveryAnswer(True, f"accepted, but not for {len(refused)} of {len(target.recipients)} recipients")
    return DeliveryAnswer(True, "accepted")


def _mail(target: EmailTarget, message: Message) -> EmailMessage:
    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = message.subject
    mail["From"] = target.sender
    mail["To"] = ", ".join(target.recipients)
    mail["Date"] = localtime()
    mail["Message-ID"] = f"<{message.delivery_id}@{target.sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content("\n".join([message.subject, "", *message.lines, "", *_about(message)]))
    return mail


def _about(message: Message) -> list[str]:
    tenant = [] if message.tenant_id is None else [f"tenant {message.tenant_id}"]
    return tenant + ([] if message.run_id is None else [f"run {message.run_id}"])
