"""The warning that changes of hidden values are not seen."""

from cli import output
from configuration import NO_KEY_WARNING, Settings


def warn_without_key(settings: Settings) -> None:
    """Says on stderr that workers hide sensitive values without a key, where the configuration asks for that."""
    if settings.sensitive_fields_key is not None and settings.wrapping_keys is None:
        output.stderr.print(f"warning: {NO_KEY_WARNING}", style="yellow")
