"""`status`: which tenants need somebody, on one screen."""
