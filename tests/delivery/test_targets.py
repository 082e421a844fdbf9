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
        (
            TARGET + RULE + 'kinds = ["nonsense"]\n',
            "rule 1: kinds: unknown 'nonsense'; there are: run_failed, run_partial, ",
        ),
        (TARGET + RULE + 'kinds = ["change", "mising"]\n', "rule 1: kinds: unknown 'mising' (did you mean 'missing'?)"),
        (
            TARGET + RULE + 'severity = "hi"\n',
            "rule 1: severity: unknown 'hi' (did you mean 'high'?); there are: high, medium, low",
        ),
        (TARGET + RULE + 'tags = ["emea", "Gold"]\n', "rule 1: tags: 'Gold': write lower-case letters"),
        (TARGET + RULE + 'kinds = ["change", "https://x.example/hush"]\n', "rule 1: kinds: entry 2: must be one of: "),
        (TARGET + RULE + "expiring_days = [7, -1]\n", "rule 1: expiring_days: entry 2: must be 0 or more"),
        (
            TARGET + RULE + 'kind = ["change"]\n',
            "rule 1: kind: is not a key of a rule (did you mean 'kinds'?); known: ",
        ),
        (TARGET + RULE.replace('"ops"', ""), "rule 1: targets: is empty"),
        ("[[rule]]\n", "rule 1: targets: is missing"),
        (TARGET.replace("https:", "http:"), "http:// is for this machine alone"),
        (TARGET.replace("https://", "https://ada:hush@"), "holds a user name"),
        (TARGET.replace('secret_env = "S"', ""), "exactly one of secret_env, secret_file"),
        (TARGET + 'url_env = "U"\n', "exactly one of url, url_env, url_file"),
        (TARGET.replace("webhook", "hush"), "target 1 (ops): kind: must be one of: webhook, teams, email, apprise"),
        (TARGET + 'secret = "hush"\n', "target 1 (ops): secret: is not a key of a target of kind webhook"),
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
        (MAIL.replace("ada@msp.example", "ada@msp.example\\nBcc: hush"), "recipients: entry 1: write a mail address"),
        (MAIL + 'port = "hush"\n', "target 1 (people): port: must be a whole number"),
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
