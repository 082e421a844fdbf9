"""Long statements, each in a `.sql` file of its own with the reason for each part beside it.

psql runs such a file as it is: `psql -v run_id="'…'" -f storage/sql/merge.sql`. The head of a file names its variables,
and its parts: texts of SQL that several statements share.
"""

import re
from pathlib import Path

from sqlalchemy import TextClause, text

FOLDER = Path(__file__).parent


def sql(name: str, folder: Path = FOLDER, **parts: str) -> str:
    """The text of a file with its parts, without comments: `merge` is that of `merge.sql`."""
    lines = (folder / f"{name}.sql").read_text(encoding="utf-8").splitlines()
    written = "\n".join(line for line in lines if not line.lstrip().startswith("--")).removesuffix(";")
    return re.sub(r"(?<!:):(\w+)", lambda found: parts.get(found[1], found[0]), written)


def statement(name: str, folder: Path = FOLDER, **parts: str) -> TextClause:
    """The statement of a file with its parts."""
    return text(sql(name, folder, **parts))
