"""Items' assignments, in names."""
