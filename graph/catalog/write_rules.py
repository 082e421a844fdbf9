"""How items are written, for collections that can be promoted."""

from functools import cache
from typing import Any

from inventory.toml_file import table_beside
from inventory.write_rules import WriteRules


@cache
def write_rules() -> dict[str, WriteRules]:
    content = _content()
    always = content["not_sent"]
    return {
        type_key: WriteRules.model_validate({**rules, "not_sent": [*always, *rules.get("not_sent", [])]})
        for type_key, rules in content.items()
        if type_key not in ("not_sent", "deviations")
    }


@cache
def unpublished_requests() -> dict[str, str]:
    """Maps requests that Microsoft's published paths lack, such as `PUT /path/{id}`, to reasons."""
    return dict(_content()["deviations"])


@cache
def _content() -> dict[str, Any]:
    return table_beside(__file__, "write_rules.toml")
