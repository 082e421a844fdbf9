"""What is no longer as in a baseline, and what was decided about it."""
