"""PostgreSQL: the tables, and a module for each conversation with them.

`database` sessions bound to one tenant · `models` the tables · `staging` and `merge` a wave's way into the inventory ·
`details`, `confirmations`, `absences` and `references` the steps after a listing · `runs` and `portfolio` records,
slots, leases · `coverage` how far each collection was read · `documents` and `versions` stored documents ·
`queries` items, missing items and run records · `sql` long statements · `migrations` (Alembic).

A plain read or write is SQLAlchemy Core (0.2 ms to build); a frequent one is a constant. Common table expressions,
lateral joins and locks are SQL, with a reason above each expression.
"""
