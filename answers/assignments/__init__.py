"""Who gets what: items' assignments, in names."""
