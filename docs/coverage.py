"""`docs/coverage.md`: the catalog's collections beside other tools' lists."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from graph.catalog import load_catalog
from inventory.toml_file import table_beside

_KEY = re.compile(r"\{[^}]*\}")


class CoveredKind(NamedTuple):
    """One kind or path of another list, the type keys that read it, and else the reason why none does."""

    name: str
    type_keys: tuple[str, ...]
    reason: str


@cache
def table() -> dict[str, Any]:
    """The facts about the other lists."""
    return table_beside(__file__, "coverage.toml")


def monitored() -> Iterator[tuple[str, list[CoveredKind]]]:
    """Each workload of Microsoft's configuration monitoring, with its kinds."""
    data = table()
    for workload, kinds in data["monitored"].items():
        reason = data["left_out_workloads"].get(workload, "")
        yield (
            workload,
            [
                CoveredKind(name, (key,) if key else (), data["left_out_kinds"].get(f"{workload}.{name}", reason))
                for name, key in kinds.items()
            ],
        )


def covered_path(path: str) -> CoveredKind:
    """Which collections read a path of Graph."""
    data = table()
    address = data["other_address"].get(path, path)
    found = _readers().get(_plain(address), ())
    return CoveredKind(path, found, "" if found else data["left_out"].get(path, ""))


@cache
def _readers() -> dict[str, tuple[str, ...]]:
    """Each path that the catalog reads, with the type keys that read it."""
    readers: dict[str, list[str]] = {}
    for key, entry in load_catalog().collections.items():
        paths = [entry.path, *(f"{entry.path}/{{id}}/{name}" for name in re.findall(r"[A-Za-z]+", entry.expand or ""))]
        for detail in entry.details:
            paths += [detail.path, *(child.path for child in detail.children)]
        for path in dict.fromkeys(map(_plain, paths)):
            readers.setdefault(path, []).append(key)
    return {path: tuple(keys) for path, keys in readers.items()}


def _plain(path: str) -> str:
    return _KEY.sub("{}", path.partition("?")[0]).lower()


def page() -> str:
    """`docs/coverage.md`."""
    data, catalog = table(), load_catalog()
    workloads = dict(monitored())
    tools = {tool: [covered_path(path) for path in paths] for tool, paths in data["paths"].items()}
    monitoring = data["sources"]["monitored"]["name"]
    lists = {f"{monitoring}: {name}": kinds for name, kinds in workloads.items()} | tools
    counted = {f"{monitoring}, all workloads": [kind for kinds in workloads.values() for kind in kinds]} | lists
    lines = [
        "# Coverage",
        "",
        "Generated from `docs/coverage.toml` and the catalog by `make docs`.",
        "",
        f"The catalog has {len(catalog.collections)} collections; `--all` reads {len(catalog.everything())} of them.",
        "",
        "| list | entries | read here |",
        "|---|---|---|",
        *(
            f"| {name} | {len(kinds)} | {sum(bool(kind.type_keys) for kind in kinds)} |"
            for name, kinds in counted.items()
        ),
        "",
        data["monitored_counts"],
        "",
        f"Sources: {', '.join(map(_link, data['sources'].values()))}.",
        "",
        "## Left out",
        "",
        "Paths that an export tool reads, or that Graph has beside the catalog, and that are not read here.",
        "",
        "| path | reason |",
        "|---|---|",
        *(f"| `{path}` | {reason} |" for path, reason in sorted(data["left_out"].items())),
    ]
    for name, kinds in lists.items():
        lines += ["", f"## {name}", "", "| theirs | read here as |", "|---|---|"]
        lines += [f"| `{kind.name}` | {_read_as(kind)} |" for kind in kinds]
    return "\n".join(lines) + "\n"


def _link(source: dict[str, str]) -> str:
    return f"[{source['name']}]({source['url']}) ({source['date']})"


def _read_as(kind: CoveredKind) -> str:
    return ", ".join(f"`{key}`" for key in kind.type_keys) or kind.reason
