"""Generated pages match the code; the links, paths and commands of all pages are valid."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import typer
from temporalio.client import Client
from typer.exceptions import TyperException
from typer.testing import CliRunner

from cli.app import app
from cli.stored_help import FILE
from docs.generate import FOLDER, PAGES
from graph.catalog import load_catalog
from local.simulated_graph import FaultKind
from local.temporal import EmbeddedTemporal
from tests.end_to_end.test_faults import ENDINGS, Ending
from tests.test_architecture import OURS


@pytest.mark.parametrize("name", sorted(PAGES))
def test_generated_pages_are_up_to_date(name: str) -> None:
    assert (FOLDER / name).read_text() == PAGES[name](), "run: make docs"


@pytest.mark.parametrize("kind", ENDINGS)
def test_the_reliability_page_gives_the_ending_of_each_fault(kind: FaultKind) -> None:
    once, for_good = (_in_words(ending) for ending in ENDINGS[kind])
    table = (FOLDER / "reliability.md").read_text().split("| faults | once | for good |\n")[1].split("\n\n")[0]
    rows = [row for row in table.splitlines() if f"`{kind.value}`" in row]
    assert len(rows) == 1
    assert rows[0].endswith(f"| {once} | {for_good} |")


def test_the_readme_has_the_number_of_collections() -> None:
    readme = (FOLDER.parent / "README.md").read_text()
    assert f"has {len(load_catalog().collections)} collections" in readme


CHECKOUT = FOLDER.parent


def pages() -> list[Path]:
    return sorted([*CHECKOUT.glob("*.md"), *FOLDER.rglob("*.md")])


def commands(page: str) -> Iterator[list[str]]:
    """The words of each `python starter.py …` as a shell reads it, up to a comment or a pipe."""
    page = re.sub(r"\\\n *", " ", page)
    in_a_block = re.findall(r"^[^`\n]*python starter\.py ([^`\n]+)$", page, re.MULTILINE)
    in_a_line = re.findall(r"`python starter\.py ([^`]+)`", page)
    for command in [*in_a_block, *in_a_line]:
        words = shlex.split(command, comments=True)
        ends = (number for number, word in enumerate(words) if word in {"|", "||", ">"})
        yield words[: next(ends, len(words))]


def test_commands_in_the_pages_and_in_help_parse() -> None:
    frame: Any = typer.main.get_command(app)
    wrong = []
    texts = {page.name: page.read_text() for page in pages()} | json.loads(FILE.read_text())
    typed = [(name, words) for name, text in texts.items() for words in commands(text)]
    assert len(typed) > 160
    for page, words in typed:
        if re.search(r"--until \d{4}-", shlex.join(words)):
            wrong.append(f"{page}: {shlex.join(words)}: the day passes")
        command, rest = frame, words
        while rest and hasattr(command, "list_commands") and rest[0] in command.list_commands(None):
            command, rest = command.get_command(None, rest[0]), rest[1:]
        if command is frame:
            wrong.append(f"{page}: {shlex.join(words)}: no such command")
            continue
        try:
            command.make_context("starter", list(rest))
        except TyperException as error:
            wrong.append(f"{page}: {shlex.join(words)}: {error}")
    assert wrong == []


def test_the_example_of_a_tenants_life_adds_a_tenant(tmp_path: Path) -> None:
    page = (FOLDER / "operating.md").read_text().replace("\\\n", "")
    (example,) = re.findall(r"^python starter\.py (tenant add .*)$", page, re.MULTILINE)
    file = tmp_path / "tenants.toml"
    file.touch()
    environment = {
        "DATABASE_URL": "postgresql://user@localhost/none",
        "TENANTS_FILE": str(file),
        "TENANT_INVENTORY_STATE": str(tmp_path / "no-stack"),
    }
    added = CliRunner().invoke(app, [*shlex.split(example), "--no-wait"], env=environment)
    assert added.exit_code == 0, added.stderr
    assert 'name = "contoso"' in file.read_text()


def test_names_in_hints_are_quoted_for_a_shell() -> None:
    """A tenant may be called `Contoso Ltd`."""
    product = [*CHECKOUT.glob("*.py"), *(path for folder in OURS for path in (CHECKOUT / folder).rglob("*.py"))]
    hints = [hint for path in product for hint in re.findall(r"python starter\.py [^\"\n]*", path.read_text())]
    assert len(hints) > 100
    assert [hint for hint in hints if re.search(r"\{[a-z_.]*name\}", hint)] == []


def test_paths_in_the_pages_exist() -> None:
    folders = {path.name for path in CHECKOUT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    named = {
        (page.name, path)
        for page in pages()
        for path in re.findall(r"`([a-z_]+/[\w./-]+)`", page.read_text())
        if path.split("/")[0] in folders - {"build", "venv"} and "NNNN" not in path
    }
    assert len(named) > 50
    assert {
        (page, path)
        for page, path in named
        if not (CHECKOUT / path).exists() and not (CHECKOUT / f"{path}.example").exists()
    } == set()


def test_links_lead_to_existing_files_and_headings() -> None:
    broken = [
        f"{page.relative_to(CHECKOUT)}: {link}"
        for page in pages()
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text())
        if not link.startswith(("https://", "http://127.0.0.1")) and not _has_target(page, *link.partition("#")[::2])
    ]
    assert broken == []


def _has_target(page: Path, name: str, heading: str) -> bool:
    target = page.parent / name if name else page
    if not heading:
        return target.exists()
    headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
    return heading in {re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings}


def _in_words(ending: Ending) -> str:
    code = f", `{ending.error_code}`" if ending.error_code else ""
    return f"{ending.status}, {ending.outcome}{code}"


async def test_temporal_accepts_the_queries_of_saved_views(temporal: EmbeddedTemporal) -> None:
    views = re.findall(r"\?query=(\S+)\) \| `(.*)` \|", (FOLDER / "portfolio.md").read_text())
    assert len(views) > 4
    client = await Client.connect(temporal.address)
    for link, query in views:
        assert unquote(link) == query
        assert (await client.count_workflows(query)).count >= 0
