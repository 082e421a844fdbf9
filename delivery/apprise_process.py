"""A program that sends one message by Apprise. It runs isolated (`python -I`), so it cannot import the product."""

import json
import logging
import re
import sys
from ipaddress import ip_address
from typing import Any

_STATUS = re.compile(r"error=(\d{3})\b")
"""The HTTP status in Apprise's log message about a refusal."""

_UNREACHED = re.compile(r"connection error", re.IGNORECASE)


def main() -> None:
    """Reads the message from stdin. Prints `outcome` and `status`, the HTTP status of a refusal or 0."""
    request = json.load(sys.stdin)
    outcome, status = _sent(request["url"], request["title"], request["body"])
    print(json.dumps({"outcome": outcome, "status": status}))


def _sent(url: str, title: str, body: str) -> tuple[str, int]:
    try:
        import apprise
    except ImportError:
        return "absent", 0
    log = _Seen()
    apprise.logger.addHandler(log)
    apprise.logger.propagate = False
    # Apprise must write nothing to disk and generate no key.
    asset = apprise.AppriseAsset(
        http_redirects=False, pgp_autogen=False, pem_autogen=False, storage_mode=apprise.PersistentStoreMode.MEMORY
    )
    service: Any = apprise.Apprise.instantiate(url, asset=asset)
    if service is None:
        return "unknown", 0
    if not service.verify_certificate:
        return "unverified", 0
    if service.protocol and not service.secure and not _is_loopback(service.host):
        return "insecure", 0
    # The URL itself may switch redirects on.
    service.redirects = False
    if service.notify(title=title, body=body, body_format=apprise.NotifyFormat.TEXT):
        return "sent", 0
    if log.status:
        return "refused", log.status
    return ("unreached" if log.is_unreached else "failed"), 0


class _Seen(logging.Handler):
    """Learns the cause of a failure from the library's log, and keeps no text of the log."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.status = 0
        self.is_unreached = False

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        found = _STATUS.search(text)
        self.status = int(found.group(1)) if found else self.status
        self.is_unreached = self.is_unreached or _UNREACHED.search(text) is not None


def _is_loopback(host: Any) -> bool:
    try:
        return ip_address(str(host)).is_loopback
    except ValueError:
        return str(host) == "localhost"


if __name__ == "__main__":
    main()
