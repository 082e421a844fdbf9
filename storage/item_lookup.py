"""SQL that finds an item by its id or an alternate key."""

from collections.abc import Iterable


def named_item(type_key: str, name: str, tenant_id: str = "current_tenant()") -> str:
    """SQL for the item of `type_key` whose id or alternate key is `name`; all arguments are SQL.

    If several items have the key, the present one counts: a re-created service principal keeps its app id.
    """
    return f"""
        (
            SELECT item.* FROM inventory_item AS item
            WHERE (item.tenant_id, item.type_key, item.external_id) = ({tenant_id}, {type_key}, {name}) LIMIT 1
        )
        UNION ALL
        (
            SELECT candidate.* FROM item_reference AS own CROSS JOIN LATERAL (
                SELECT * FROM inventory_item AS item
                WHERE (item.tenant_id, item.type_key, item.external_id) = (own.tenant_id, own.type_key, own.external_id)
                LIMIT 1
            ) AS candidate
            WHERE (own.tenant_id, own.target_id) = ({tenant_id}, {name}) AND own.target_type_keys = '{{}}'
                AND own.type_key = {type_key} AND own.role = 'use'
            ORDER BY candidate.absent_from DESC NULLS FIRST LIMIT 1
        )
        LIMIT 1"""


def own_names(type_key: str, external_id: str) -> str:
    """SQL for an item's names in documents: its id and alternate keys."""
    return f"""
        SELECT {external_id} UNION ALL SELECT own.target_id FROM item_reference AS own
        WHERE (own.type_key, own.external_id) = ({type_key}, {external_id}) AND own.target_type_keys = '{{}}'
            AND own.role = 'use'"""


def key_columns(keys: Iterable[tuple[str, str]]) -> dict[str, object]:
    """The parameters `type_keys` and `external_ids` of a statement about items."""
    pairs = list(keys)
    return {"type_keys": [key for key, _ in pairs], "external_ids": [external_id for _, external_id in pairs]}
