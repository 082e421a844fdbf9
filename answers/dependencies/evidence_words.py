"""Evidence and reasons for people."""

from answers.dependencies.rules import NOT_IN_THE_CATALOG
from answers.item_kinds import title_of

_WORDS = {NOT_IN_THE_CATALOG: "no collection of the catalog has them"}


def code_in_words(code: str) -> str:
    """`failed:graph_throttled` as `failed: graph throttled`."""
    return _WORDS.get(code) or code.replace("_", " ").replace(":", ": ")


def evidence_in_words(evidence: str) -> str:
    parts = (part.partition(":") for part in evidence.split(", "))
    return ", ".join(
        f"{title_of(code)}: {code_in_words(reason)}" if reason else code_in_words(code) for code, _, reason in parts
    )
