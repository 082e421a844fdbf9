"""The notifications file, and one-line errors that repeat no value."""

from pathlib import Path

import pytest

from delivery.targets import NotificationsFileError, load_notifications
from inventory.notifications import NotificationKind

TARGET = '[[target]]\nname = "ops"\nkind = "webhook"\nurl = "https://hooks.example.com/x"\nsecret_env = "S"\n'
MAIL = (
    '[[target]]\nname = "people"\nkind = "email"\nhost = "smtp.example.com"\nsecurity = "starttls"\n'
    'sender = "inventory@msp.example"\nrecipients = ["ada@msp.example"]\n'
)
RULE = '[[rule]]\ntargets = ["ops"]\n'


def notifications_file(folder: Path, content: str) -> Path:
    path = folder / "notifications.toml"
    path.write_text(content)
    return path


def test_a_file_names_targets_and_rules(tmp_path: Path) -> None:
    found = load_notifications(notifications_file(tmp_path, f'{TARGET}{RULE}kinds = ["run_failed"]\ntags = ["emea"]\n'))
    assert list(found.targets) == ["ops"]
    (rule,) = found.rules
    assert rule.kinds == {NotificationKind.RUN_FAILED}
    assert rule.is_about(["emea", "gold"])
    assert not rule.is_about(["apac"])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("x =", "not valid TOML"),
        ("[other]", "unknown table 'other'"),
        (TARGET + TARGET, "two targets have the same name"),
        ('[[rule]]\ntargets = ["nobody"]\n', "rule 1: no target 'nobody'; there are: none"),
        (TARGET + RULE + 'kinds = ["nonsense"]\n', "rule 1"),
        (TARGET.replace("https:", "http:"), "http:// is for this machine alone"),
        (TARGET.replace("https://", "https://ada:hush@"), "holds a user name"),
        (TARGET.replace('secret_env = "S"', ""), "exactly one of secret_env, secret_file"),
        (TARGET + 'url_env = "U"\n', "exactly one of url, url_env, url_file"),
        (TARGET.replace("webhook", "pigeon"), "target 1 (ops)"),
        (TARGET + 'secret = "hush"\n', "target 1 (ops)"),
        (
            '[[target]]\nname = "t"\nkind = "teams"\nurl = "https://x.example/hush"\n',
            "is a secret; use url_env or url_file",
        ),
        (
            '[[target]]\nname = "t"\nkind = "apprise"\nurl = "json://x.example/hush"\n',
            "is a secret; use url_env or url_file",
        ),
        (MAIL.replace('"starttls"', '"none"'), "security none is for a mail server on this machine"),
        (MAIL + 'username = "hush"\n', "username goes with exactly one of password_env, password_file"),
        (MAIL.replace("ada@msp.example", "ada@msp.example\\nBcc: hush"), "target 1 (people)"),
    ],
)
def test_errors_are_one_line_and_repeat_no_value(tmp_path: Path, content: str, problem: str) -> None:
    with pytest.raises(NotificationsFileError) as raised:
        load_notifications(notifications_file(tmp_path, content))
    assert problem in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "hush" not in str(raised.value)


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "[::1]:9"])
def test_http_is_allowed_for_this_machine(tmp_path: Path, host: str) -> None:
    content = TARGET.replace("https://hooks.example.com", f"http://{host}")
    assert load_notifications(notifications_file(tmp_path, content)).targets
