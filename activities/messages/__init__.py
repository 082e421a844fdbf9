"""The messages between workflows and activities: one model in, one model out.

Counts, cursors and codes only: no document, no name, no token. Fields are only ever added, with a default, since a
running workflow may still send yesterday's.
"""
