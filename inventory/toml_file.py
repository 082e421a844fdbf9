"""TOML files: people's, and tables of this release."""

import tomllib
from pathlib import Path
from typing import Any

from inventory.user_errors import UserError


def read_toml(path: Path, error: type[UserError], *, if_missing: str) -> dict[str, Any]:
    """Raises `error`, whose message has one line and no values of the file."""
    try:
        # `utf-8-sig`, since editors on Windows write a byte-order mark.
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise error(f"{path}: no such file; {if_missing}") from None
    except tomllib.TOMLDecodeError as wrong:
        raise error(f"{path}: not valid TOML: {wrong}") from None
    except UnicodeDecodeError:
        raise error(f"{path}: is not UTF-8; save it as UTF-8") from None
    except OSError as wrong:
        raise error(f"{path}: cannot be read: {wrong.strerror or type(wrong).__name__}") from None


def table_beside(module_file: str, name: str) -> dict[str, Any]:
    return tomllib.loads(Path(module_file).with_name(name).read_text(encoding="utf-8"))
