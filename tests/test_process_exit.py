import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]

PRELUDE = """
import atexit, logging, os, signal, sys
from process_exit import end_when_interrupted, raise_when_interrupted, run_to_exit

atexit.register(print, "the interpreter was taken apart")

def command():
    print("done")
"""


def finished(command: str, **streams: int) -> "subprocess.CompletedProcess[str]":
    """The ended process of a function that runs this statement last."""
    body = f"{PRELUDE}    {command}\n\nrun_to_exit(command)\nprint('not reached')"
    return subprocess.run(
        [sys.executable, "-c", body],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONUNBUFFERED": ""},
        text=True,
        stdout=streams.get("stdout", subprocess.PIPE),
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize(
    ("command", "code"),
    [("pass", 0), ("sys.exit()", 0), ("sys.exit(0)", 0), ("sys.exit(3)", 3), ("sys.exit('wrong')", 1), ("1 / 0", 1)],
)
def test_a_command_exits_with_its_code_without_interpreter_teardown(command: str, code: int) -> None:
    result = finished(command)
    assert (result.returncode, result.stdout) == (code, "done\n")


def test_exit_messages_and_tracebacks_are_printed() -> None:
    assert finished("sys.exit('wrong')").stderr == "wrong\n"
    assert finished("1 / 0").stderr.endswith("ZeroDivisionError: division by zero\n")


@pytest.mark.parametrize("statement", ["raise KeyboardInterrupt", "sys.exit(130)"])
def test_an_interruption_is_told_in_one_line(statement: str) -> None:
    result = finished(statement)
    assert (result.returncode, result.stderr) == (1, "error: interrupted\n")


INTERRUPTING = """
import os, signal, sys

def interrupt(event, details):
    if event == "import" and details[0] == os.environ["INTERRUPTED_AT"]:
        os.kill(os.getpid(), signal.SIGINT)

sys.addaudithook(interrupt)
"""
"""A `sitecustomize` that sends Ctrl-C to the process when it begins to load a module."""


@pytest.mark.parametrize(
    "module", ["process_exit", "logging", "cli.stored_help", "cli.app", "typer", "rich.text", "answers.items.answer"]
)
def test_ctrl_c_while_a_command_loads_is_told_in_one_line(tmp_path: Path, module: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTING)
    result = shell("items contoso", subprocess.PIPE, PYTHONPATH=str(tmp_path), INTERRUPTED_AT=module)
    assert (result.returncode, result.stdout, result.stderr) == (1, "", "error: interrupted\n")


def test_ctrl_c_within_a_loaded_command_lets_it_clean_up() -> None:
    result = finished(
        "end_when_interrupted(); raise_when_interrupted()\n"
        "    try: os.kill(os.getpid(), signal.SIGINT)\n"
        "    finally: print('cleaned up')"
    )
    assert (result.returncode, result.stdout) == (1, "done\ncleaned up\n")
    assert result.stderr == "error: interrupted\n"


def test_ctrl_c_after_the_end_of_a_command_is_told_in_one_line() -> None:
    result = finished("logging.shutdown = lambda: os.kill(os.getpid(), signal.SIGINT)")
    assert (result.returncode, result.stderr) == (1, "error: interrupted\n")


def test_a_character_that_the_locale_lacks_is_escaped() -> None:
    result = shell("items --help", subprocess.PIPE, PYTHONIOENCODING="latin-1")
    assert (result.returncode, result.stderr) == (0, "")
    assert "--columns NAME,\\u2026" in result.stdout


def test_undeliverable_output_is_an_error_without_a_traceback() -> None:
    with Path("/dev/full").open("w") as full:
        result = finished("pass", stdout=full.fileno())
    assert (result.returncode, result.stderr) == (1, "error: No space left on device\n")


@pytest.mark.parametrize(("arguments", "unbuffered"), [("--help", ""), ("--help", "1"), ("catalog --json", "")])
def test_a_reader_that_has_left_and_a_closed_stream_are_no_errors(arguments: str, unbuffered: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        left = shell(arguments, pipe, PYTHONUNBUFFERED=unbuffered)
        closed = shell(f"{arguments} <&- >&-", pipe, PYTHONUNBUFFERED=unbuffered)
    assert [(result.returncode, result.stderr) for result in (left, closed)] == [(0, "")] * 2
    assert shell(f"{arguments} 2>&-", subprocess.PIPE).stdout


def test_a_full_disk_is_named() -> None:
    with Path("/dev/full").open("w") as full:
        result = shell("catalog --json", full)
    assert (result.returncode, result.stderr) == (1, "error: No space left on device; make room and run again\n")


def shell(arguments: str, stdout: "IO[str] | int", **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["/bin/sh", "-c", f"exec {sys.executable} starter.py {arguments}"],
        cwd=CHECKOUT,
        env={**os.environ, **environment},
        text=True,
        stdout=stdout,
        stderr=subprocess.PIPE,
    )
