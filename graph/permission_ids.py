"""Ids of Graph's application permissions."""

import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

GRAPH_APP_ID = UUID("00000003-0000-0000-c000-000000000000")
"""Microsoft Graph, in every tenant and cloud (https://learn.microsoft.com/graph/permissions-reference)."""


@cache
def permission_ids() -> dict[str, UUID]:
    content = tomllib.loads((Path(__file__).parent / "catalog" / "permission_ids.toml").read_text(encoding="utf-8"))
    return {name: UUID(permission_id) for name, permission_id in content.items()}


def required_resource_access(permissions: Iterable[str]) -> dict[str, Any]:
    """The manifest's entry for the permissions:

    https://learn.microsoft.com/entra/identity-platform/reference-microsoft-graph-app-manifest
    """
    ids = permission_ids()
    access = [{"id": str(ids[name]), "type": "Role"} for name in sorted(permissions)]
    return {"requiredResourceAccess": [{"resourceAppId": str(GRAPH_APP_ID), "resourceAccess": access}]}
