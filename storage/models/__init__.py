"""The tables. Every tenant table has `tenant_id` first in its primary key and row-level security on it.

`portfolio_run` belongs to no tenant, and names some: a transaction that is bound to a tenant sees none of its rows.

`tenant_id` defaults to the tenant that the transaction is bound to (`current_tenant()`), so statements never name
it. The migrations hold what SQLAlchemy's metadata does not: policies, grants, the role-bound view on staging. The
tables of drift are in `answers.drift.tables`.
"""

from storage.models import items, notifications, portfolio, references, runs, search, web
from storage.models.base import Base

__all__ = ["Base", "items", "notifications", "portfolio", "references", "runs", "search", "web"]
