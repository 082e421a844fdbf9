"""`search`, `settings`: items by name or setting over tenants, and which tenants set something."""
