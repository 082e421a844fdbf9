"""The operator's command line: start, follow, cancel and look. `python starter.py --help` lists the commands."""

from commands.app import app


def main() -> None:
    """The entry point, also of the installed command `tenant-inventory`."""
    app()


if __name__ == "__main__":
    main()
