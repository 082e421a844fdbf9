"""How far each collection of a tenant has been read, and what to do about those that were not."""
