"""One thin activity for each effect. Workflows import only `definitions` and `messages`."""
