"""PostgreSQL: sessions bound to one tenant, the tables, and a module for each conversation with them.

Plain statements are SQLAlchemy Core; frequent ones are constants, since building one takes 0.2 ms. Common table
expressions, lateral joins and locks are SQL.
"""
