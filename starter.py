"""The command line; `python starter.py --help` lists the commands."""

import _signal  # type: ignore[import-not-found]  # the part of `signal` that Python has loaded before this line

_signal.pthread_sigmask(_signal.SIG_BLOCK, {_signal.SIGINT})  # Ctrl-C waits until it can be told in one line.

import gc  # noqa: E402
import os  # noqa: E402

from process_exit import end_when_interrupted, run_to_exit  # noqa: E402

end_when_interrupted()

from cli.stored_help import show_stored_help  # noqa: E402

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
