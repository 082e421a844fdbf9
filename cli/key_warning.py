from cli import output
from configuration import NO_KEY_WARNING, Settings


def compares_hidden_values(settings: Settings) -> bool | None:
    """Whether changes of hidden values show; None if only workers know."""
    return None if settings.sensitive_fields_key is None else settings.has_key


def warn_without_key(settings: Settings) -> None:
    if compares_hidden_values(settings) is False:
        output.stderr.print(f"warning: {NO_KEY_WARNING}", style="yellow")
