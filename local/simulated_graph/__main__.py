"""`python -m local.simulated_graph`: the simulated Graph as a process.

When ready, it prints one line of JSON with addresses and credentials; SIGTERM or SIGINT stops it.
"""

import argparse
import json
import signal
from pathlib import Path

from local.simulated_graph import SimulatedGraph

_STOP = {signal.SIGINT, signal.SIGTERM}


def main() -> None:
    arguments = _arguments()
    # Before the server's thread starts and inherits the mask, so that the signal waits for `sigwait`.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
    with SimulatedGraph(
        tenants=arguments.tenants,
        generation=arguments.generation,
        alike=arguments.alike,
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
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one (default)")
    parser.add_argument("--tenants", type=int, default=2, help="how many tenants (default: %(default)s)")
    parser.add_argument(
        "--generation", type=int, default=0, help="steps of the tenants' life already gone (default: 0)"
    )
    parser.add_argument("--alike", action="store_true", help="the same sample in all tenants, but for a few deviations")
    return parser.parse_args()


if __name__ == "__main__":
    main()
