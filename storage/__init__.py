"""PostgreSQL: sessions bound to one tenant, the tables, and a module for each conversation with them.

A plain statement is SQLAlchemy Core (0.2 ms to build); a frequent one is a constant. Common table expressions, lateral
joins and locks are SQL, with a reason above each.
"""
