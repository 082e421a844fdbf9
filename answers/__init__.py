"""A package for each question, which imports another's `answer` and `records` only. Only commands import `cli`."""
