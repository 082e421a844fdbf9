"""What reading an item costs: its observation and its compressed document, in this checkout or beside another.

    python -m benchmarks.reading FOLDER
    python -m benchmarks.reading FOLDER --before CHECKOUT

FOLDER holds real Graph documents as the tests load them (`<path with _>.jsonl.gz`). Processor time alone is measured, and
both checkouts take turns, so other work on the machine does not count.
"""

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROUNDS = 5

# It runs in either checkout, so it uses only what both have.
_MEASUREMENT = """
import sys
from pathlib import Path
from time import process_time

from graph.catalog import load_catalog
from inventory.observation import Observer
from local.simulated_graph.documents import read_folder
from storage.compression import compress

collections = {collection.path.strip("/"): collection for collection in load_catalog().collections.values()}
pages = [
    (Observer(collections[path].observation_rules()), documents)
    for path, documents in read_folder(Path(sys.argv[1])).items()
    if path in collections
]
times = []
for _ in range(4):
    began = process_time()
    items = [item for observer, documents in pages for item in observer.observe_page(documents)[0]]
    times.append(process_time() - began)
sizes = [len(compress(item.document)) for item in items]
print(min(times) / len(items) * 1e6, sum(sizes) / len(items), sum(len(item.document) for item in items) / len(items))
"""


def measured(checkout: Path, folder: Path) -> tuple[float, float, float]:
    """Microseconds an item, and the bytes of its document, compressed and as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASUREMENT, str(folder)],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        check=True,
    )
    time, compressed, size = map(float, done.stdout.split())
    return time, compressed, size


def main() -> None:
    """Measures this checkout, in turns with another if one is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--before", type=Path, help="another checkout")
    given = parser.parse_args()
    checkouts = {"before": given.before, "now": Path(__file__).resolve().parents[1]}
    chosen = {name: path.resolve() for name, path in checkouts.items() if path is not None}
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in chosen}
    for _ in range(ROUNDS):
        for name, checkout in chosen.items():
            found[name].append(measured(checkout, given.folder.resolve()))
    for name, rounds in found.items():
        times = [time for time, _, _ in rounds]
        _, compressed, size = rounds[-1]
        print(
            f"{name:>6}: {statistics.median(times):.0f} µs an item ({min(times):.0f}–{max(times):.0f});"
            f" a version of {compressed:.0f} bytes, {size:.0f} as JSON"
        )


if __name__ == "__main__":
    main()
