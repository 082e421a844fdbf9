"""One backup by IntuneCD, a Python tool that copies a tenant's Intune configuration into files.

`benchmarks.intunecd` runs it with the Python of an environment that has IntuneCD, which the product has not. The
address, the token and the certificate of the simulated Graph come in the environment; IntuneCD itself knows only
Microsoft's address. It prints one line of JSON: the number of objects read, and the seconds.
"""

import json
import os
import sys
import time
from argparse import Namespace
from tempfile import TemporaryDirectory
from typing import Any

import requests
from IntuneCD.backup_intune import backup_intune  # type: ignore[import-not-found]

GRAPH = "https://graph.microsoft.com"
WORKERS = 10
"""Modules that it reads side by side: its own `--max-workers` unless told otherwise."""

_request = requests.request


def _redirected(method: str, url: str, **options: Any) -> requests.Response:
    address = url.replace(GRAPH, os.environ["GRAPH_BASE_URL"], 1)
    return _request(method, address, verify=os.environ["GRAPH_CA_FILE"], **options)


def main() -> None:
    """Reads everything that IntuneCD reads, once."""
    requests.request = _redirected  # type: ignore[assignment]
    results: list[dict[str, Any]] = []
    options = Namespace(audit=False, ignore_omasettings=False, activationlock=False, autopilot=False)
    with TemporaryDirectory() as folder:
        printed, sys.stdout = sys.stdout, sys.stderr
        began = time.perf_counter()
        token = {"access_token": os.environ["GRAPH_TOKEN"]}
        backup_intune(results, f"{folder}/", "json", [], token, None, False, options, WORKERS, None)
        seconds = time.perf_counter() - began
        sys.stdout = printed
    print(json.dumps({"objects": sum(result["config_count"] for result in results), "seconds": seconds}))


if __name__ == "__main__":
    main()
