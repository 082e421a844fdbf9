"""Long statements, each in a `.sql` file with reasons beside its parts.

psql runs it as it is: `psql -v run_id="'…'" -f storage/sql/merge.sql`. Its head names its variables, and its parts:
texts that several statements share.
"""

import re
from pathlib import Path

from sqlalchemy import TextClause, text

FOLDER = Path(__file__).parent

BY_PLACE = "place BETWEEN '(0,0)' AND '(4294967295,65535)'"
"""True of each row's `place` (ctid). PostgreSQL expects one place in two hundred between two bounds, and so takes rows
to write one by one. Else it compares each with all rows of a tenant or run that its statistics do not know: it expects
one of these.

A row that the statement waited for has another place, which its snapshot does not see: it is not written. So rows that
other transactions change are written by key, unless the statement counts what it wrote.
"""


def sql(name: str, folder: Path = FOLDER, **parts: str) -> str:
    """Puts parts in, and leaves out comments: `merge` is `merge.sql`."""
    lines = (folder / f"{name}.sql").read_text(encoding="utf-8").splitlines()
    written = "\n".join(line for line in lines if not line.lstrip().startswith("--")).removesuffix(";")
    return re.sub(r"(?<!:):(\w+)", lambda found: parts.get(found[1], found[0]), written)


def statement(name: str, folder: Path = FOLDER, **parts: str) -> TextClause:
    return text(sql(name, folder, **parts))
