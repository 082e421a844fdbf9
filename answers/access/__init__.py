"""People's access to tenants on the web page."""
