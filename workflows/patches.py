"""Patches (`workflow.patched`), with which runs that release 0.3.0 began still replay.

The release after 0.4.0 removes them; by then, runs of 0.3.0 must have ended (`docs/deploying.md`).
"""

ID_OF_INPUT = "id-of-input"
"""Refuses a workflow under another id than its input's."""

LOST_CANCELLATION = "lost-cancellation"
"""Heeds a cancellation that comes with an activity's result."""

COUNTED_EARLY = "counted-early"
"""Looks for details again after a merge during their count."""

KEEPS_PLACE = "keeps-place"
"""Keeps a queued run's place by `renew_lease`."""

WAVES_OF_FAMILIES = "waves-of-families"
"""Waves hold batches of all API versions and throttle families, and follow pages."""
