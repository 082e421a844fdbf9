"""Long statements, one in each `.sql` file, which psql runs too: `psql -v run_id="'…'" -f storage/sql/merge.sql`.

The head of a file names its variables and its parts, texts that several statements share.
"""

import re
from pathlib import Path

from sqlalchemy import TextClause, text

FOLDER = Path(__file__).parent

BY_PLACE = "place BETWEEN '(0,0)' AND '(4294967295,65535)'"
"""A condition on a row's `place` (ctid) that always holds. PostgreSQL expects it of one row in two hundred, and so
finds rows to write one by one, instead of comparing each with all rows of a tenant or run that its statistics do not
know.

A row that another transaction changes meanwhile gets another place, so the statement does not write it: write such rows
by key, unless the statement counts the rows it wrote.
"""

BY_INDEX = text("SELECT set_config('enable_seqscan', 'off', true)")
"""Has the transaction read tables by index, whatever the statistics say: if most rows are of one tenant and a few
collections, PostgreSQL would read all rows again for each collection, and in merges all staged rows for each row."""


def sql(name: str, folder: Path = FOLDER, **parts: str) -> str:
    """The statement in `{name}.sql`, with its parts filled in and without comments."""
    lines = (folder / f"{name}.sql").read_text(encoding="utf-8").splitlines()
    written = "\n".join(line for line in lines if not line.lstrip().startswith("--")).removesuffix(";")
    return re.sub(r"(?<!:):(\w+)", lambda match: parts.get(match[1], match[0]), written)


def statement(name: str, folder: Path = FOLDER, **parts: str) -> TextClause:
    return text(sql(name, folder, **parts))
