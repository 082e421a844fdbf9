"""PostgreSQL: the tables, and a module for each conversation with them.

`database` sessions bound to one tenant · `models` the tables · `staging` and `merge` a wave's way into the inventory ·
`details`, `confirmations`, `absences` and `references` the steps after a listing · `runs` and `portfolio` records,
slots, leases · `coverage` how far each collection was read · `documents` and `versions` stored documents ·
`queries` items, missing items and run records · `sql` long statements · `migrations` (Alembic).

A plain read or write is SQLAlchemy Core on the models' tables, built where its values are, which takes 0.2 ms. A
statement of each wave, turn or heartbeat is a constant with parameters. A statement whose form is the point, with
common table expressions, lateral joins, locks or a set of rows as its parameter, is SQL, with a reason above each
expression.
"""
