"""The program's version, also for `pyproject.toml`, since a server may run without an installation."""

VERSION = "0.3.0"
