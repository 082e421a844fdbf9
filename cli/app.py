"""The command line. It loads a command's module only to run the command."""

import gc
import re
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException
from typer.main import get_group

from cli.errors import ExitCode, errors_for_people, fail
from cli.stored_help import summaries
from inventory.typed_text import problem_with
from inventory.version import VERSION
from process_exit import raise_when_interrupted

COMMANDS: Mapping[str, str] = {
    "demo": "cli.demo",
    "catalog": "cli.catalog",
    "permissions": "cli.permissions",
    "check": "cli.check",
    "tenant": "cli.tenant",
    "doctor": "cli.doctor",
    "sync": "cli.sync",
    "cancel": "cli.sync",
    "runs": "answers.runs.command",
    "run": "answers.runs.command",
    "status": "answers.status.command",
    "search": "answers.search.command",
    "settings": "answers.search.command",
    "items": "answers.items.command",
    "missing": "answers.items.command",
    "limits": "cli.limits",
    "retention": "cli.retention",
    "versions": "answers.versions.command:show_versions",
    "show": "answers.versions.command",
    "diff": "answers.versions.command",
    "export": "answers.export.command",
    "changes": "answers.changes.command",
    "compare": "answers.compare.command",
    "dependencies": "answers.dependencies.command",
    "assignments": "answers.assignments.command",
    "dangling": "answers.dependencies.dangling_command",
    "unassigned": "answers.dependencies.dangling_command",
    "baseline": "answers.drift.baseline_command",
    "drift": "answers.drift.command",
    "promote": "answers.promotion.command",
    "database": "cli.database",
    "portfolio": "cli.portfolio",
    "schedule": "cli.schedule",
    "watch": "cli.watch",
    "notify": "answers.notifications.command",
    "web": "cli.web",
    "access": "answers.access.command",
}
"""Each command's module, with the function's name if it differs, in the order of the help."""


_WORD = re.compile(r"""(?:--\S+ (?!-))?(?:"[^"]*"|\S)+""")
"""A word as a shell has it, with the option whose value it is."""


EXAMPLE_WIDTH = 76
"""Of 80 columns, Typer indents by two and leaves two."""


class _Commands(TyperGroup):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        names: dict[str, Any] = dict.fromkeys(COMMANDS)
        self.commands = names  # Typer lists these, and suggests them for a wrong name.

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - Typer's signature
        return _command(cmd_name) if cmd_name in COMMANDS else None

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except TyperException as error:
            error.message = error.message.replace(": Value error, ", ": ").removeprefix("Value error, ")
            raise

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Completes names without loading the commands."""
        help_texts = summaries()
        named = TyperGroup(
            commands=[TyperCommand(name, help=help_texts.get(name)) for name in COMMANDS], params=self.params
        )
        return named.shell_complete(typer.Context(named, parent=ctx), incomplete)


def _command(name: str) -> Any:
    module, _, attribute = COMMANDS[name].partition(":")
    try:
        imported = getattr(import_module(module), attribute or name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "local":
            raise
        imported = _no_demo
    alone = typer.Typer(rich_markup_mode=None)
    if imported is _no_demo:
        alone.command(name, context_settings={"ignore_unknown_options": True, "allow_extra_args": True})(imported)
    elif isinstance(imported, typer.Typer):
        alone.add_typer(imported, name=name)
    else:
        alone.command(name)(imported)
    command = get_group(alone).commands[name]
    _prepare(command)
    if not gc.isenabled():  # the entry point disabled it
        gc.freeze()
        gc.enable()
        raise_when_interrupted()
    return command


def _prepare(command: Any) -> None:
    for parameter in command.params:
        parameter.callback = _looked_through
    command.help = "\n\n".join(map(_pasteable, (command.help or "").split("\n\n")))
    if command.callback is not None:
        command.callback = _for_people(command.callback)
    for subcommand in getattr(command, "commands", {}).values():
        _prepare(subcommand)


def _for_people(callback: Callable[..., None]) -> Callable[..., None]:
    @wraps(callback)
    def called(**arguments: Any) -> None:
        tenant = arguments.get("tenant")
        with errors_for_people(tenant if isinstance(tenant, str) else None):
            callback(**arguments)

    return called


def _pasteable(paragraph: str) -> str:
    """An example whose lines a shell joins: Typer would break it within a word."""
    if not paragraph.startswith("Example: "):
        return paragraph
    lines = [""]
    for word in _WORD.findall(paragraph):
        if len(f"{lines[-1]} {word} \\") > EXAMPLE_WIDTH:
            lines.append(" ")
        lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return "\b\n" + " \\\n".join(lines)


def _looked_through(ctx: Any, parameter: Any, value: Any) -> Any:
    if not ctx.resilient_parsing:
        name = parameter.opts[0]
        shown = name if name.startswith("-") else parameter.metavar or name.upper()
        for text in _texts(value):
            if problem := problem_with(text):
                fail(f"{shown}: {problem}", ExitCode.USAGE)
    return value


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        return [value]
    return [text for text in value if isinstance(text, str)] if isinstance(value, list | tuple) else []


def _no_demo() -> None:
    """Not in this image, which has no embedded servers: make demo, in a checkout."""
    typer.echo("error: this image has no embedded servers; run the demo in a checkout: make demo", err=True)
    raise typer.Exit(2)


app = typer.Typer(
    name="tenant-inventory",
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(is_asked_for: bool) -> None:
    if is_asked_for:
        typer.echo(f"tenant-inventory {VERSION}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """Tenant Inventory: what configuration Microsoft 365 tenants hold, when it was last seen, what is missing."""
