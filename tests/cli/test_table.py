"""Tables and CSV: one function for all commands."""

import csv
import os
import pty
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from answers.csv_rows import FORMULA_STARTS, csv_line, fields_of
from answers.field_text import FieldText
from cli import output
from cli.errors import UsageError
from cli.output_options import OutputOptions, using
from cli.table import Column, Shape, print_table, short_ids
from inventory.plurals import counted, either
from inventory.severity import Severity
from tests.forks import CHECKOUT

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Counts(BaseModel):
    """A record within a record."""

    read: int


class Thing(BaseModel):
    """The record that the tables here list."""

    type_key: str = "groups"
    name: str
    external_id: str = "0454d6d1-b133-5117-b6bf-8841f046723c"
    state: str = "present"
    seen_at: datetime | None = NOW
    counts: Counts = Counts(read=1)
    codes: list[str] = []


class Finding(BaseModel):
    """A record with an enumeration member."""

    severity: Severity


COLUMNS = (
    Column("collection", "type_key", lambda thing: f"The {thing.type_key}", Shape.HEADING, yields=True),
    Column("name", "name"),
    Column("id", "external_id", shape=Shape.ID, is_kept=True),
    Column("state", "state"),
    Column("read", "counts.read", shape=Shape.NUMBER),
    Column("codes", "codes"),
)

THINGS = (
    Thing(type_key="groups", name="b", external_id="0454d6d1-b133-5117-b6bf-8841f046723c"),
    Thing(
        type_key="apps", name="a long name", external_id="0454d6d1-c133-5117-b6bf-8841f046723c", counts=Counts(read=9)
    ),
    Thing(type_key="groups", name="A", external_id="short"),
)


def printed(
    capsys: pytest.CaptureFixture[str],
    things: Sequence[Thing] = THINGS,
    columns: Sequence[Column] = COLUMNS,
    **options: Any,
) -> str:
    with using(OutputOptions(**options)):
        print_table(columns, things, record=Thing, title="Things")
    return capsys.readouterr().out


@pytest.fixture(autouse=True)
def width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def test_a_table_has_headings_and_shows_common_values_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys).splitlines() == [
        "Things",
        "each row: state = present",
        "  name         id          read",
        "The apps",
        "  a long name  0454d6d1-c     9",
        "The groups",
        "  b            0454d6d1-b     1",
        "  A            short          1",
    ]


def test_chosen_columns_are_shown_in_the_given_order(capsys: pytest.CaptureFixture[str]) -> None:
    with using(OutputOptions(columns=("state", "NAME", "collection"), sort=("-read", "name"), ids=True)):
        print_table(COLUMNS, THINGS, record=Thing)
    table = capsys.readouterr().out
    assert table.splitlines() == [
        "state    name         collection",
        "present  a long name  apps",
        "present  A            groups",
        "present  b            groups",
    ]


def test_a_sorted_table_begins_with_the_name_and_ends_with_the_collection(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, sort=("-read",)).splitlines()[2].split() == ["name", "id", "read", "collection"]
    (item, *others) = COLUMNS
    heading = item._replace(yields=False)
    assert printed(capsys, columns=[heading, *others], sort=("-read",)).splitlines()[2].split()[0] == "collection"


def test_enumeration_members_are_sorted_in_their_defined_order(capsys: pytest.CaptureFixture[str]) -> None:
    findings = [Finding(severity=severity) for severity in (Severity.LOW, Severity.HIGH, Severity.MEDIUM)]
    with using(OutputOptions(sort=("severity",))):
        print_table([Column("severity", "severity")], findings, record=Finding)
    assert capsys.readouterr().out.split() == ["severity", "high", "medium", "low"]


def test_an_unknown_column_is_refused_with_the_known_names(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="no column 'nme'; there are: type_key, name, external_id"):
        printed(capsys, things=(), columns=COLUMNS, sort=("nme",))


def test_a_word_too_wide_for_its_column_has_its_own_line(capsys: pytest.CaptureFixture[str]) -> None:
    long = "n" * 60
    evidence = "collection_failed:" + "e" * 40
    table = printed(capsys, [Thing(name=long, state=evidence), *THINGS])
    assert f"  {long}\n" in table
    assert f"    state: {evidence}\n" in table


def test_a_cell_that_would_wrap_often_is_below_its_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    columns = (
        Column("name", "name"),
        Column("kind", "state"),
        Column("id", "external_id", shape=Shape.ID, is_kept=True),
        Column("codes", "codes"),
    )
    codes, long = ["a" * 15, "b" * 8], "Android work profile compliance policy"
    things = [Thing(name=f"Policy {number} of all", state="group", codes=codes[number % 2 :]) for number in range(3)]
    print_table(columns, [*things, Thing(name="Android", state=long)])
    printed = capsys.readouterr().out
    assert f"\n  kind: {long}\n" in printed
    assert printed.count("  group ") == len(things), "short kinds stay in their column"
    longer = "macOS enterprise work profile compliance policies"
    alike = [Thing(name=f"Policy {digit}", state=f"{longer} {digit}", codes=[*codes, f"c{digit}"]) for digit in "12"]
    print_table(columns, alike)
    head, first, below, *_ = capsys.readouterr().out.splitlines()
    assert "kind" not in head, "such a column gets no width"
    assert (first.split()[0], below) == ("Policy", f"  kind: {longer} 1")


@pytest.mark.parametrize(
    "long",
    [
        "./Device/Vendor/MSFT/Policy/ConfigOperations/ADMXInstall/Contoso/Policy/ContosoBrowserExtensionsAllowed",
        "https://autologon.contoso.example/adfs/ls/idpinitiatedsignon.aspx?loginToRp=urn:federation:MicrosoftOnline",
        "device_vendor_msft_policy_config_microsoft_edgev78diff~policy~microsoft_edge~extensions_allowedextensiontypes",
    ],
)
def test_a_word_wider_than_its_line_keeps_its_last_parts(capsys: pytest.CaptureFixture[str], long: str) -> None:
    for thing in (Thing(name=f"{long} b"), Thing(name="a", state=f"a {long}")):
        table = printed(capsys, [thing, *THINGS])
        assert max(map(len, table.splitlines())) <= 80
        (word,) = (word for word in table.split() if "…" in word)
        assert word[0] == "…"
        assert word[1] in "/_~.:?&"
        assert long.endswith(word[1:])
        assert len(word) > 50
        assert "…" not in printed(capsys, [thing, *THINGS], ids=True)
        assert long in printed(capsys, [thing, *THINGS], as_csv=True)


def test_a_long_field_label_keeps_its_last_parts(capsys: pytest.CaptureFixture[str]) -> None:
    label = f"./Device/Vendor/MSFT/{'Long/' * 20}AllowTelemetry"
    field = FieldText(label, "changed", before="0", after="1")
    with using(OutputOptions()):
        output.print_field(field, indent="  ")
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert text.startswith("  …/Long/")
    assert " ".join(text.split()).endswith("/Long/AllowTelemetry: 0 → 1")


def test_ids_are_shown_whole_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    assert THINGS[0].external_id in printed(capsys, ids=True)
    assert THINGS[0].external_id not in printed(capsys)


@given(st.sets(st.uuids().map(str) | st.text("ab-", min_size=1, max_size=30), min_size=1, max_size=30))
def test_short_ids_are_unique_prefixes(ids: set[str]) -> None:
    shortened = short_ids(ids)
    assert all(whole.startswith(short) for whole, short in shortened.items())
    assert len(set(shortened.values())) == len(ids)


def test_csv_has_every_field_of_the_record(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, as_csv=True)
    header, *rows = csv.reader(text.splitlines())
    assert header == fields_of(Thing)
    assert header[-2:] == ["counts.read", "codes"]
    assert rows[0] == ["groups", "b", THINGS[0].external_id, "present", "2026-03-01T12:00:00Z", "1", "[]"]
    assert [row[1] for row in rows] == ["b", "a long name", "A"]
    assert text.endswith("\r\n")
    assert "Things" not in text


def test_an_empty_csv_has_a_header(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, things=(), as_csv=True) == csv_line(fields_of(Thing))


def test_a_summary_is_not_in_csv_and_ignores_column_options(capsys: pytest.CaptureFixture[str]) -> None:
    for options in (OutputOptions(as_csv=True), OutputOptions(columns=("elsewhere",), sort=("elsewhere",))):
        with using(options):
            print_table(COLUMNS, THINGS, record=Thing, is_summary=True)
        assert bool(capsys.readouterr().out) is not options.as_csv


def test_prose_goes_to_stderr_beside_csv(capsys: pytest.CaptureFixture[str]) -> None:
    with using(OutputOptions(as_csv=True)):
        output.stdout.print("3 collections")
    assert capsys.readouterr() == ("", "3 collections\n")


def test_notes_go_to_the_pager_in_their_order(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with using(OutputOptions(is_paged=True)):
        output.stdout.print("the answer")
        output.stderr.print("what it lacks")
    assert capsys.readouterr() == ("the answer\nwhat it lacks\n", "")


@pytest.mark.parametrize("start", FORMULA_STARTS)
def test_no_csv_text_is_a_formula(start: str) -> None:
    (row,) = csv.reader([csv_line([f"{start}1+1", -5, "fine"])])
    assert row[0].startswith("'") or not row[0].startswith(FORMULA_STARTS)
    assert row[1:] == ["-5", "fine"]


@given(st.lists(st.text(), min_size=1))
def test_a_csv_line_can_be_read_back(cells: list[str]) -> None:
    (row,) = csv.reader([csv_line(cells)])
    assert len(row) == len(cells)
    assert not any(cell.startswith(FORMULA_STARTS) for cell in row)


@pytest.mark.parametrize(
    ("passed", "expected"),
    [
        (timedelta(seconds=3), "just now"),
        (timedelta(seconds=60), "1 min ago"),
        (timedelta(minutes=119), "1 h ago"),
        (timedelta(hours=47), "1 day ago"),
        (timedelta(days=30), "30 days ago"),
        (timedelta(days=40), "2026-01-20"),
        (timedelta(minutes=-5), "in 5 min"),
        (timedelta(seconds=-5), "in a moment"),
    ],
)
def test_ages_are_shown_in_words(passed: timedelta, expected: str) -> None:
    assert output.ago(NOW - passed, NOW) == expected


def test_times_are_local_or_utc_with_their_offset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time_of_process()
    try:
        assert output.when(NOW) == "2026-03-01 07:00:00-05:00"
        assert datetime.fromisoformat(output.when(NOW)) == NOW
        with using(OutputOptions(utc=True)):
            assert output.when(NOW) == "2026-03-01 12:00:00Z"
            assert output.when(datetime(987, 1, 2, tzinfo=UTC)) == "0987-01-02 00:00:00Z"
    finally:
        monkeypatch.undo()
        time_of_process()


def time_of_process() -> None:
    time.tzset()


@pytest.mark.parametrize(("words", "expected"), [("a", "a"), ("ab", "a or b"), ("abcd", "a, b, c or d")])
def test_alternatives_are_joined_with_or(words: str, expected: str) -> None:
    assert either(list(words)) == expected


def test_counts_have_plurals_and_separators() -> None:
    assert [counted(number, "item") for number in (0, 1, 2, 1234)] == ["0 items", "1 item", "2 items", "1,234 items"]
    assert counted(2, "item is", "items are") == "2 items are"


LINES = "".join(f"line {number}\n" for number in range(200))


@pytest.mark.parametrize(
    ("pager", "text", "is_paged"),
    [
        ("sed s/line/paged/", LINES, True),
        ("sed s/line/paged/", "line 1\n", False),
        ("", LINES, False),
        ("nowhere-at-all", LINES, False),
        ("less 'no end", LINES, False),
    ],
)
def test_a_pager_shows_text_longer_than_the_screen(pager: str, text: str, is_paged: bool) -> None:
    program = "import sys; from cli.pager import paged\nwith paged(): sys.stdout.write(sys.argv[1])"
    code, screen = on_a_terminal(program, text, PAGER=pager)
    assert code == 0
    assert screen == (text.replace("line", "paged") if is_paged else text)


def on_a_terminal(program: str, *arguments: str, **variables: str) -> tuple[int, str]:
    """Runs a program on a new terminal; its exit code, and the text on the terminal."""
    master, terminal = pty.openpty()
    environment = {**os.environ, "LINES": "24", "PYTHONPATH": str(CHECKOUT), **variables}
    command = [sys.executable, "-c", program, *arguments]
    process = subprocess.Popen(command, stdout=terminal, stdin=terminal, env=environment)
    os.close(terminal)
    screen = b""
    with suppress(OSError):  # Linux raises it once the other end is closed
        while chunk := os.read(master, 65536):
            screen += chunk
    os.close(master)
    return process.wait(), screen.decode().replace("\r\n", "\n")


ENDLESS = """
import itertools, sys
from cli.pager import paged
try:
    with paged():
        for number in itertools.count():
            print("line", number)
except BrokenPipeError:
    sys.exit(7)
"""


def test_a_pager_streams_an_answer_and_ends_it_on_quitting() -> None:
    code, screen = on_a_terminal(ENDLESS, PAGER="head -2")
    assert (code, screen) == (7, "line 0\nline 1\n")
