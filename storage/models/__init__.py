"""The tables. Every tenant table has `tenant_id` first in its primary key and row-level security on it.

`tenant_id` defaults to the tenant of the transaction (`current_tenant()`), so statements never name it. A transaction
that is bound to a tenant sees no row of `portfolio_run`. Migrations hold what SQLAlchemy's metadata does not: policies,
grants, the role-bound view on staging. The tables of drift are in `answers.drift.tables`.
"""

from storage.models import items, notifications, portfolio, references, runs, search, web
from storage.models.base import Base

__all__ = ["Base", "items", "notifications", "portfolio", "references", "runs", "search", "web"]
