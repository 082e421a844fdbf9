"""Who sees which tenants on the web page, and the acts that change it."""
