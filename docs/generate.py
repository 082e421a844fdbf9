"""Writes the generated pages of this folder anew: `make docs`. A test holds them against the code."""

from pathlib import Path

from inventory.error_codes import EXPLANATIONS, SKIPPING_CODES

FOLDER = Path(__file__).parent


def error_codes() -> str:
    """`docs/error-codes.md`."""
    lines = [
        "# Error codes",
        "",
        "Generated from `inventory/error_codes.py` by `make docs`. Once released, a code never changes its meaning.",
        "",
        "| code | when | what to do |",
        "|---|---|---|",
    ]
    for code, (meaning, remedy) in EXPLANATIONS.items():
        skipped = " *(skips the collection)*" if code in SKIPPING_CODES else ""
        lines.append(f"| `{code}` | {meaning}{skipped} | {remedy} |")
    return "\n".join(lines) + "\n"


PAGES = {"error-codes.md": error_codes}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page())
