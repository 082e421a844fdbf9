"""The command line; `python starter.py --help` lists the commands."""

import gc
import os

try:
    from process_exit import end_when_interrupted, run_to_exit

    end_when_interrupted()
    from cli.stored_help import show_stored_help
except KeyboardInterrupt:
    raise SystemExit("error: interrupted") from None

MOST_COLUMNS = 10_000
"""The widest terminal."""


def main() -> None:
    """Also the installed command `tenant-inventory`."""
    run_to_exit(_run)


def _run() -> None:
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and not 0 < int(columns) <= MOST_COLUMNS:
        del os.environ["COLUMNS"]  # Rich prints nothing for 0.
    if not show_stored_help():
        os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # We have none, and a search takes 10 ms.
        gc.disable()  # Imported objects stay, so collection starts only once the command is loaded (cli.app).
        from cli.app import app  # imports more than help needs

        app()


if __name__ == "__main__":
    main()
