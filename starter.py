"""The operator's command line: start, follow, cancel and look. `python starter.py --help` lists the commands."""

from commands.app import app
from process_exit import run_to_exit


def main() -> None:
    """The entry point, also of the installed command `tenant-inventory`."""
    run_to_exit(app)


if __name__ == "__main__":
    main()
