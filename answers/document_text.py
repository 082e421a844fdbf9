"""A document as lines for people, with names in place of ids."""

from collections.abc import Iterator

from answers.named_ids import ObjectNames, named_document
from answers.value_text import Place, is_annotation, is_empty, labelled, value_lines
from inventory.exact_json import JsonObject, JsonValue
from inventory.references import ReferenceRules

_TEMPLATE_VALUES = "definitionValues"


def document_lines(document: JsonObject, rules: ReferenceRules, names: ObjectNames) -> Iterator[str]:
    """Leaves out empty values and OData annotations."""
    for name, value in named_document(document, rules, names).items():
        if is_empty(value) or is_annotation(name):
            continue
        lines = (
            list(_template_lines(value)) if name == _TEMPLATE_VALUES else value_lines(value, Place(name, is_brief=True))
        )
        yield from labelled(name, lines)


def _template_lines(values: JsonValue) -> Iterator[str]:
    for value in values if isinstance(values, list) else ():
        definition = value.get("definition") if isinstance(value, dict) else None
        called = definition.get("displayName") if isinstance(definition, dict) else None
        first, *rest = value_lines(value, Place(_TEMPLATE_VALUES))
        yield f"{called}: {first}" if called else first
        yield from (f"  {line}" for line in rest)
