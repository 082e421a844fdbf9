"""The cost of reading an item: its observation and its compressed document, in this checkout or beside another.

    python -m benchmarks.item_reads FOLDER
    python -m benchmarks.item_reads FOLDER --before CHECKOUT

FOLDER holds real Graph documents as the tests load them (`<path with _>.jsonl.gz`). Each is read as a whole item, as
what a list shows of one, which is hashed a second time, and as a new item with its references and settings. Processor
time alone is measured, and both checkouts take turns, so that other work on the machine counts little.
"""

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROUNDS = 5

# It runs in either checkout, so it uses only functions of both.
_MEASUREMENT = """
import sys
from pathlib import Path
from time import process_time

from graph.catalog import load_catalog
from inventory.observation import Observer
from local.simulated_graph.documents import read_folder
from storage.compression import compress

collections = {collection.path.strip("/"): collection for collection in load_catalog().collections.values()}
found = {path: documents for path, documents in read_folder(Path(sys.argv[1])).items() if path in collections}
for has_details, is_new in ((False, False), (True, False), (False, True)):
    pages = [
        (
            Observer(
                collections[path].observation_rules().model_copy(update={"has_details": has_details}),
                reading=collections[path].reading_rules,
            ),
            documents,
        )
        for path, documents in found.items()
    ]
    times = []
    for _ in range(4):
        began = process_time()
        items = [
            item
            for observer, documents in pages
            for item in observer.observe_page(documents, with_references=is_new)[0]
        ]
        times.append(process_time() - began)
    print(min(times) / len(items) * 1e6)
print(sum(len(compress(item.document)) for item in items) / len(items))
print(sum(len(item.document) for item in items) / len(items))
"""


def measured(checkout: Path, folder: Path) -> tuple[float, ...]:
    """Microseconds an item, whole, listed and new, and the bytes of its document, compressed and as JSON."""
    done = subprocess.run(  # noqa: S603 - the measurement above
        [sys.executable, "-c", _MEASUREMENT, str(folder)],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        check=True,
    )
    return tuple(map(float, done.stdout.split()))


def main() -> None:
    """Measures this checkout, in turns with another if one is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--before", type=Path, help="another checkout")
    arguments = parser.parse_args()
    checkouts = {"before": arguments.before, "now": Path(__file__).resolve().parents[1]}
    chosen = {name: path.resolve() for name, path in checkouts.items() if path is not None}
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in chosen}
    for _ in range(ROUNDS):
        for name, checkout in chosen.items():
            found[name].append(measured(checkout, arguments.folder.resolve()))
    for name, rounds in found.items():
        whole, listed, new, compressed, size = zip(*rounds, strict=True)
        print(
            f"{name:>6}: {_range(whole)} µs a whole item, {_range(listed)} µs a listed one, {_range(new)} µs a new one;"
            f" a version of {compressed[0]:.0f} bytes, {size[0]:.0f} as JSON"
        )


def _range(times: Sequence[float]) -> str:
    return f"{statistics.median(times):.0f} ({min(times):.0f}–{max(times):.0f})"


if __name__ == "__main__":
    main()
