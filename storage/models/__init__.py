"""The tables. Every tenant table has row-level security and `tenant_id` first in its primary key.

`tenant_id` defaults to the transaction's tenant (`current_tenant()`), so statements never name it. Tenants'
transactions see no `portfolio_run`. Policies, grants and the view on staging are in the migrations only. The tables of
drift are in `answers.drift.tables`.
"""

from storage.models import items, notifications, portfolio, references, runs, search, web
from storage.models.base import Base

__all__ = ["Base", "items", "notifications", "portfolio", "references", "runs", "search", "web"]
