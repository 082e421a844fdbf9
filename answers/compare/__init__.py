"""How two tenants, or many and a golden one, differ."""
