"""The tables. Every tenant table has row-level security, and `tenant_id` first in its primary key.

It defaults to the transaction's tenant, so inserts never name it. Policies, grants and the view on staging are in the
migrations only.
"""

from storage.models import items, notifications, portfolio, references, runs, search, web
from storage.models.base import Base

__all__ = ["Base", "items", "notifications", "portfolio", "references", "runs", "search", "web"]
