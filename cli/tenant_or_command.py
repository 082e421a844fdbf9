from typing import Any

from typer.core import TyperGroup

MAIN = "show"


class TenantOrCommand(TyperGroup):
    """`drift decide …` is a command, and `drift contoso …` is `drift show contoso …`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        is_main = bool(args) and args[0] not in self.commands and args[0] not in ctx.help_option_names
        return super().parse_args(ctx, [MAIN, *args] if is_main else args)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        tenant = next(parameter for parameter in self.commands[MAIN].params if parameter.param_type_name == "argument")
        return [*super().shell_complete(ctx, incomplete), *tenant.shell_complete(ctx, incomplete)]
