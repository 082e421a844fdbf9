"""PostgreSQL: sessions bound to a tenant, the tables, and one module for each conversation with them.

Plain statements are SQLAlchemy Core; frequent ones are constants, since building one takes 0.2 ms. Common table
expressions, lateral joins and locks are SQL.
"""
