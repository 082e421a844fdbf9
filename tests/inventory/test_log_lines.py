"""A log record starts no line that looks like another record, even if it quotes hostile text."""

import json
import logging
import re
from io import StringIO

import pytest

from inventory.log_lines import FORMAT, JsonLine, OneLine, WithoutQuotes, log_context
from tests.cli.test_hostile_names import STEERING, assert_clean

FORGED = f"{STEERING}\n2026-01-01 00:00:00,000 ERROR worker all is lost"


@pytest.fixture
def log() -> tuple[logging.Logger, StringIO]:
    written = StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(OneLine(FORMAT))
    logger = logging.getLogger("hostile")
    logger.propagate = False
    logger.handlers = [handler]
    return logger, written


def test_a_log_record_is_a_single_line(log: tuple[logging.Logger, StringIO]) -> None:
    logger, written = log
    logger.error("said: %s", FORGED)
    assert_clean(written.getvalue())
    assert written.getvalue().count("\n") == 1
    assert "all is lost" in written.getvalue()


def test_traceback_lines_cannot_pass_for_log_records(log: tuple[logging.Logger, StringIO]) -> None:
    logger, written = log
    try:
        raise ValueError(FORGED)
    except ValueError:
        logger.exception("it failed", stack_info=True)
    assert_clean(written.getvalue())
    first, *others, last = written.getvalue().split("\n")
    assert first.endswith("hostile it failed")
    assert all(line.startswith("  ") for line in others)
    assert any("Traceback" in line for line in others)
    assert last == ""


def test_an_exception_is_logged_without_its_message(log: tuple[logging.Logger, StringIO]) -> None:
    logger, written = log
    logger.addFilter(WithoutQuotes())
    try:
        raise ValueError("hunter2") from KeyError("hunter2")
    except ValueError:
        logger.exception("it failed\n")
    logger.removeFilter(logger.filters[0])
    assert re.fullmatch(r".* hostile it failed: ValueError at test_log_lines\.py:\d+\n", written.getvalue())


def test_a_json_log_record_is_a_single_line(log: tuple[logging.Logger, StringIO]) -> None:
    logger, written = log
    logger.handlers[0].setFormatter(JsonLine())
    with log_context({"tenant_id": "a", "activity": "read_wave"}):
        try:
            raise ValueError(FORGED)
        except ValueError:
            logger.exception("said: %s", FORGED)
    logger.warning("later")
    assert written.getvalue().isascii()
    assert_clean(written.getvalue())
    first, second = map(json.loads, written.getvalue().splitlines())
    assert first["message"] == f"said: {FORGED}"
    assert FORGED in first["exception"]
    assert (first["level"], first["logger"], first["tenant_id"], first["activity"]) == (
        "ERROR",
        "hostile",
        "a",
        "read_wave",
    )
    assert first["time"].endswith("+00:00")
    assert set(second) == {"time", "level", "logger", "message"}, "ended context is in no later record"


def test_a_lone_surrogate_is_written_in_a_json_log_record(log: tuple[logging.Logger, StringIO]) -> None:
    # Not through a logger: pytest captures log records, and could not send this record to another process.
    logger, _ = log
    record = logger.makeRecord("hostile", logging.INFO, __file__, 1, "%s", ("\udc80",), None)
    line = JsonLine().format(record)
    assert line.isascii()
    assert json.loads(line)["message"] == "\udc80"
