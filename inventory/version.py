"""The version of this program. `pyproject.toml` reads it from here, since a server may run without being installed."""

VERSION = "0.3.0"
