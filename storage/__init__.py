"""PostgreSQL: one module a conversation with it.

`database` sessions bound to one tenant · `models` the tables · `staging` and `merging` the way of a wave into the
inventory · `references` and `dependencies` what items refer to · `runs` run records and slots · `queries` what the
command line shows · `migrations` (Alembic).
"""
