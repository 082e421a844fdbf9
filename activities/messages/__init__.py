"""The messages between workflows and activities: one model in, one model out.

Counts, cursors and codes only: no document, name or token. Only add fields, with a default: a running workflow may
still send yesterday's.
"""
