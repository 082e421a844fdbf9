"""`status`: which tenants need attention."""
