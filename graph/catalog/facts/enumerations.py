"""Names of properties that are enumerations in every published type (docs/facts.md)."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

from graph.catalog.facts import metadata

FILE = Path(__file__).with_name("enumerations.txt")

_EDM = "{http://docs.oasis-open.org/odata/ns/edm}"


@cache
def enumerations() -> frozenset[str]:
    return frozenset(FILE.read_text(encoding="utf-8").split())


def always_enumerations(files: Iterable[Path]) -> set[str]:
    kinds: dict[str, set[bool]] = {}
    for file in files:
        root = ElementTree.parse(file).getroot()  # noqa: S314 (a file that its reader chose)
        # Enumerations are compared by their last names, since schemas have aliases.
        enums = {str(enum.get("Name")) for enum in root.iter(f"{_EDM}EnumType")}
        for element in root.iter(f"{_EDM}Property"):
            kind = str(element.get("Type")).removeprefix("Collection(").removesuffix(")")
            is_enumeration = not kind.startswith("Edm.") and kind.rpartition(".")[2] in enums
            kinds.setdefault(str(element.get("Name")), set()).add(is_enumeration)
    return {name for name, found in kinds.items() if found == {True}}


def published() -> set[str]:
    return {name for version in ("v1.0", "beta") for _, names, _ in metadata(version).types.values() for name in names}


def write(files: Iterable[Path]) -> None:
    """`facts.json.gz` must already have both versions' types."""
    found = always_enumerations(files) & published()
    FILE.write_text("".join(f"{name}\n" for name in sorted(found)), encoding="utf-8")
