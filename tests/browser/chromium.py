"""Headless Chromium: opens a page, says what the browser made and complained of, prints it on paper."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.patience import PATIENCE_SECONDS

BROWSER = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), "")

needs_chromium = pytest.mark.skipif(not BROWSER, reason="there is no chromium here; a package manager has it")

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--hide-scrollbars", "--enable-logging=stderr", "--log-level=0",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)  # fmt: skip


class Chromium:
    """One browser with a profile of its own for each page that it opens, below `folder`."""

    def __init__(self, folder: Path, *, keeps_profile: bool = False) -> None:
        """With `keeps_profile` all pages share one profile, and with it their cookies."""
        self._folder = folder
        self._keeps_profile = keeps_profile
        self._opened = 0
        self.complaints: list[str] = []
        """What pages have written on the console: errors, and what the Content-Security-Policy refused."""
        self.requests: set[str] = set()
        """The addresses beside files that pages have asked for."""

    def screenshot(
        self, page: Path | str, picture: Path, width: int = 1200, height: int = 1600, *, dark: bool = False
    ) -> None:
        """A picture of the beginning of a page."""
        shade = ("--force-dark-mode", "--blink-settings=preferredColorScheme=0") if dark else ()
        self._open(page, f"--screenshot={picture}", f"--window-size={width},{height}", *shade)

    def print(self, page: Path, paper: Path) -> None:
        """The page as a PDF."""
        self._open(page, f"--print-to-pdf={paper}", "--no-pdf-header-footer")

    def rendered(self, page: Path | str) -> str:
        """The page as the browser has understood it; a file or an address."""
        return self._open(page, "--dump-dom")

    def _open(self, page: Path | str, *flags: str) -> str:
        self._opened += 1
        profile = self._folder / ("profile" if self._keeps_profile else f"profile-{self._opened}")
        log = self._folder / f"network-{self._opened}.json"
        done = subprocess.run(
            [
                BROWSER,
                *FLAGS,
                f"--user-data-dir={profile}",
                f"--log-net-log={log}",
                *flags,
                page if isinstance(page, str) else page.as_uri(),
            ],
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
        assert done.returncode == 0, done.stderr
        self.complaints += [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
        self.requests |= _requests(log)
        return done.stdout


def _requests(log: Path) -> set[str]:
    """What the page asked for. What the browser asks for by itself has no initiator, and reaches nobody (FLAGS)."""
    events: list[dict[str, Any]] = json.loads(log.read_text())["events"]
    asked = [event["params"] for event in events if "initiator" in event.get("params", {})]
    return {
        request["url"]
        for request in asked
        if request["initiator"] != "not an origin" and urlsplit(request["url"]).scheme != "file"
    }
