"""Long statements, each in a `.sql` file of its own with the reason for each part beside it.

psql runs such a file as it is: `psql -v run_id="'…'" -f storage/sql/merge.sql`. The head of a file names its variables.
"""

from pathlib import Path

from sqlalchemy import TextClause, text

FOLDER = Path(__file__).parent


def statement(name: str) -> TextClause:
    """The statement of a file, without its comments: `merge` is that of `merge.sql`."""
    lines = (FOLDER / f"{name}.sql").read_text(encoding="utf-8").splitlines()
    return text("\n".join(line for line in lines if not line.lstrip().startswith("--")).removesuffix(";"))
