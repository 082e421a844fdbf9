"""`python -m local.simulated_graph`: the simulated Graph as a process.

When ready, it prints one line of JSON with addresses and credentials; SIGTERM or SIGINT stops it.
"""

import argparse
import json
import signal
from datetime import timedelta
from pathlib import Path

from local.simulated_graph import SimulatedGraph

_STOP = {signal.SIGINT, signal.SIGTERM}


def main() -> None:
    arguments = _arguments()
    # Before the server's thread starts, which inherits it: so the signal waits for `sigwait`.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
    with SimulatedGraph(
        arguments.documents,
        tenants=arguments.tenants,
        items_per_collection=arguments.items,
        page_size=arguments.page_size,
        empty_page_every=arguments.empty_page_every,
        latency=timedelta(milliseconds=arguments.latency_ms),
        generation=arguments.generation,
        seed=arguments.seed,
        alike=arguments.alike,
        host=arguments.host,
        port=arguments.port,
        state=arguments.state,
    ) as graph:
        ready = {
            "base_url": graph.base_url,
            "authority_url": graph.authority_url,
            "ca_file": str(graph.ca_file.resolve()),
            "control_url": graph.control_url,
            "control_key_file": str(graph.control_key_file.resolve()),
            "tenants": [tenant.entry() for tenant in graph.tenants],
        }
        print(json.dumps(ready), flush=True)
        signal.sigwait(_STOP)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.simulated_graph", description="A simulated Microsoft Graph.")
    parser.add_argument(
        "--state", type=Path, required=True, help="folder for CA and control key, reused when it has them"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one (default)")
    parser.add_argument(
        "--documents", type=Path, help="folder of published documents to serve (default: a sample tenant)"
    )
    parser.add_argument("--tenants", type=_count, default=2, help="how many tenants (default: %(default)s)")
    parser.add_argument("--items", type=_count, help="documents in each collection (default: as many as there are)")
    parser.add_argument("--page-size", type=_count, help="objects on a page, whatever the request (default: as Graph)")
    parser.add_argument(
        "--empty-page-every", type=int, default=0, help="an empty page after every so many (default: none)"
    )
    parser.add_argument("--latency-ms", type=float, default=0, help="wait before each request's answer (default: none)")
    parser.add_argument(
        "--generation", type=int, default=0, help="steps of the tenants' life already gone (default: 0)"
    )
    parser.add_argument("--seed", type=int, default=0, help="which world: tenants, documents, tokens (default: 0)")
    parser.add_argument("--alike", action="store_true", help="the same sample in all tenants, but for a few deviations")
    return parser.parse_args()


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or above")
    return number


if __name__ == "__main__":
    main()
