"""Patches (`workflow.patched`): runs that release 0.3.0 began replay as they were.

All go with the release after 0.4.0; its notes then say that runs of 0.3.0 must have ended (`docs/deploying.md`).
"""

ID_OF_INPUT = "id-of-input"
"""A workflow under another id than its input's is refused (`workflows/identity.py`)."""

LOST_CANCELLATION = "lost-cancellation"
"""A cancellation together with an activity's result is heeded (`workflows/cancellation.py`)."""

COUNTED_EARLY = "counted-early"
"""Details are looked for again after a merge during their count (`workflows/sync.py`)."""

KEEPS_PLACE = "keeps-place"
"""A queued run keeps its place by `renew_lease`, then asks for the slot (`workflows/queue.py`)."""

WAVES_OF_FAMILIES = "waves-of-families"
"""A wave holds batches of all API versions and throttle families, and follows pages (`workflows/sync.py`)."""
