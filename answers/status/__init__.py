"""`status`: which tenants need attention, on one screen."""
