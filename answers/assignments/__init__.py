"""Who gets what: the assignments of items, in names."""
