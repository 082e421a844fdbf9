"""PostgreSQL: sessions bound to one tenant (`database`), the tables (`models`), and a module for each conversation with
them.

A plain read or write is SQLAlchemy Core (0.2 ms to build); a frequent one is a constant. Common table expressions,
lateral joins and locks are SQL, with a reason above each expression.
"""
