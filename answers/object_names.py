"""Names of the objects that documents refer to."""

from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncSession

from answers.named_ids import DEFINITIONS, definition_ids, template_names
from graph.catalog import load_catalog
from inventory.exact_json import JsonObject, decode_object, objects_in
from inventory.references import collection_of, references
from storage.current_documents import current_documents
from storage.object_names import display_names


async def object_names(
    session: AsyncSession, documents: Iterable[tuple[str, JsonObject]]
) -> dict[tuple[str, str], str]:
    """`documents` are pairs of type key and document."""
    objects: set[tuple[str, str]] = set()
    settings: set[str] = set()
    names: dict[tuple[str, str], str] = {}
    for type_key, document in documents:
        for reference in references(document, load_catalog().references_of(type_key)):
            objects.update((collection_of(target_type), reference.target_id) for target_type in reference.target_types)
        if "settings" in document:
            settings.update(definition_ids(document["settings"]))
        if "definitionValues" in document:
            names.update(template_names(document["definitionValues"]))
    names |= await display_names(session, objects)
    return names | await setting_names(session, settings)


async def setting_names(session: AsyncSession, ids: Iterable[str]) -> dict[tuple[str, str], str]:
    """Names of settings and choices whose definitions the inventory has."""
    names: dict[tuple[str, str], str] = {}
    for definition in await current_documents(session, DEFINITIONS, ids):
        if definition.display_name:
            names[DEFINITIONS, definition.external_id] = definition.display_name
        for option in objects_in(decode_object(definition.document).get("options")):
            if isinstance(option.get("itemId"), str) and option.get("displayName"):
                names[DEFINITIONS, str(option["itemId"])] = str(option["displayName"])
    return names
