"""`--html FILE`: the page replaces the whole file, or nothing changes."""

import os
from pathlib import Path

import pytest

from answers.pages import MOST
from cli.errors import UsageError
from cli.html_file import check_count, check_html, write_html
from inventory.user_errors import UnavailableError
from tests.full_disk import no_room


def test_a_page_replaces_an_older_page_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("older")
    path.chmod(0o640)
    write_html(path, "newer")
    assert path.read_text() == "newer"
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_only_the_owner_can_read_a_new_page(tmp_path: Path) -> None:
    write_html(tmp_path / "report.html", "page")
    assert (tmp_path / "report.html").stat().st_mode & 0o777 == 0o600


def test_a_symbolic_link_stays_and_leads_to_the_new_page(tmp_path: Path) -> None:
    (tmp_path / "real.html").write_text("older")
    link = tmp_path / "link.html"
    link.symlink_to("real.html")
    write_html(link, "newer")
    assert link.is_symlink()
    assert (tmp_path / "real.html").read_text() == "newer"


def test_a_failed_write_leaves_only_the_older_page(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("older")
    with pytest.raises(UnicodeEncodeError):
        write_html(path, "new\ud800")
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_named_and_leaves_the_older_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    path.write_text("older")
    monkeypatch.setattr(Path, "replace", no_room)
    with pytest.raises(UnavailableError, match="No space left on device; make room and run again"):
        write_html(path, "newer")
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_an_unsuitable_path_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, message in (
        (tmp_path, "is a folder"),
        (tmp_path / "none" / "report.html", "there is no folder"),
        (tmp_path / "pipe", "is not a regular file"),
    ):
        with pytest.raises(UsageError, match=message):
            check_html(path)


def test_too_many_rows_are_refused_with_options_to_reduce_them() -> None:
    check_count(MOST)
    with pytest.raises(UsageError, match="--since, --type or --limit"):
        check_count(MOST + 1)
