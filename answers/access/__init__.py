"""Who sees which tenants on the web page."""
