"""PostgreSQL: the tables, and a module for each conversation with them.

`database` sessions bound to one tenant · `models` the tables · `staging` and `merge` a wave's way into the inventory ·
`details`, `confirmations`, `absences` and `references` what follows a listing · `runs` and `portfolio` records, slots,
leases · `coverage` how far each collection was read · `documents` and `versions` stored documents · `queries` items,
missing items and run records · `migrations` (Alembic).
"""
