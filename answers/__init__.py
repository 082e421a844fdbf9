"""The inventory's questions, one package for each: pure `rules`, `records`, SQL in `queries`, an `answer` on a session,
and a `command` that prints it.

A question uses another one's `answer` and `records` only. Only commands use `cli`.
"""
