"""The tables. Every tenant table has row-level security, and `tenant_id` first in its primary key.

It defaults to the transaction's tenant, so inserts never name it. Policies, grants and the view on staging are in the
migrations only. A module imports the tables that it uses, so that a command loads no others.
"""
