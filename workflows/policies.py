"""Timeouts, heartbeats and retry policies, each with the reason for its numbers."""

from datetime import timedelta
from typing import TypedDict

from temporalio.common import RetryPolicy


class ActivityLimits(TypedDict):
    """A missing timeout is a type error."""

    start_to_close_timeout: timedelta
    schedule_to_close_timeout: timedelta
    heartbeat_timeout: timedelta
    retry_policy: RetryPolicy


DATABASE: ActivityLimits = {
    # A statement takes milliseconds, a merge of a large wave a second or two; waiting for a pool connection up to 30.
    "start_to_close_timeout": timedelta(minutes=2),
    # A PostgreSQL that is restarted or failed over is back within minutes; after this the run says storage_unavailable.
    "schedule_to_close_timeout": timedelta(minutes=30),
    # Beats come every 4 seconds while the transaction is under way, so a dead worker is found within 20.
    "heartbeat_timeout": timedelta(seconds=20),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(milliseconds=500), backoff_coefficient=2.0, maximum_interval=timedelta(seconds=15)
    ),
}

CLOSE: ActivityLimits = {
    **DATABASE,
    # The record is worth waiting for: a run that cannot close it counts as abandoned once its lease has expired.
    "schedule_to_close_timeout": timedelta(hours=6),
}


SWEEP: ActivityLimits = {
    **DATABASE,
    # The sweep asks Temporal about each run; the next sweep closes the remaining records.
    "start_to_close_timeout": timedelta(minutes=4),
    "schedule_to_close_timeout": timedelta(minutes=10),
}


DIAGNOSIS: ActivityLimits = {
    **DATABASE,
    # Some 30 seconds for each 16 tenants without an answer; the waiting caller sets the workflow's own limit.
    "start_to_close_timeout": timedelta(hours=1),
    "schedule_to_close_timeout": timedelta(hours=1),
}


RETENTION: ActivityLimits = {
    **DATABASE,
    # It waits for the tenant's merges under way. After 30 minutes, the next tenant's turn comes.
    "start_to_close_timeout": timedelta(minutes=6),
}


WATCH: ActivityLimits = {
    **DATABASE,
    # The look at one tenant has 100 seconds; an activity looks at its tenants side by side.
    "start_to_close_timeout": timedelta(minutes=4),
    # The next look reads the remaining tenants.
    "schedule_to_close_timeout": timedelta(minutes=10),
}


NOTE: ActivityLimits = {
    **DATABASE,
    # It compares the documents that a run has changed.
    "start_to_close_timeout": timedelta(minutes=5),
    # The next look notes the remaining events.
    "schedule_to_close_timeout": timedelta(minutes=30),
}


DELIVERY: ActivityLimits = {
    **DATABASE,
    # It begins no message after a minute, and a message has 20 seconds.
    "start_to_close_timeout": timedelta(minutes=4),
    # The next look sends the rest.
    "schedule_to_close_timeout": timedelta(minutes=30),
}

DELIVERY_TRIES = 4
"""The most tries of one workflow; the next look sends the rest."""

LONGEST_DELIVERY_WAIT = timedelta(minutes=2)
"""The longest wait of one workflow; after a longer one, the next look sends the message."""


def fetch_limits(graph_patience: timedelta) -> ActivityLimits:
    """`graph_patience`: after this time, the activity itself gives up an unreachable Graph.

    The limit adds time lost to dead workers.
    """
    return {
        # The client gives one $batch 100 seconds; a token before it and the staging after it take seconds.
        "start_to_close_timeout": timedelta(minutes=4),
        # For failures of the whole wave (network, token endpoint); the frontier limits the retries of a page.
        "schedule_to_close_timeout": graph_patience + timedelta(minutes=15),
        # Beats come every 4 seconds while a request is under way, so a dead worker is found within 20.
        "heartbeat_timeout": timedelta(seconds=20),
        "retry_policy": RetryPolicy(
            initial_interval=timedelta(seconds=1), backoff_coefficient=2.0, maximum_interval=timedelta(minutes=1)
        ),
    }


def wave_limits(graph_patience: timedelta) -> ActivityLimits:
    """A wave follows pages for 10 seconds, and reads batches of details for 15, of which up to four may queue."""
    return {**fetch_limits(graph_patience), "start_to_close_timeout": timedelta(minutes=10)}


QUEUE_POLL = timedelta(seconds=10)
"""How often queued runs of release 0.3.0 ask for a slot, with jitter."""

LEASE_RENEWAL = timedelta(minutes=3)
"""How often a waiting run renews its lease: well within `activities.run_records.LEASE`."""

MERGE_ROWS = 1000
"""Staged rows that start a merge while more pages are read."""

MERGE_WAVES = 8
"""Staged waves that start a merge while more pages are read."""

PAGE_CAP = 20_000
"""More pages of one listing are a loop: twenty million items at a thousand a page."""

WAVES_AT_ONCE = 2
"""The most waves of a run: while one is read, the next waits for a worker. Each family with turns adds one."""

TURN_IN_WAVE = timedelta(seconds=2)
"""Batches of a family share a wave up to this gap between turns; for longer gaps, the workflow has timers."""

WAVE_PAGE_BATCHES = 50
"""The most batches of pages in a wave; 200 collections need 30. Results stay far below Temporal's message limit."""

WAVE_BATCHES = 24
"""The most batches of details or confirmations in a wave."""

WAVE_BYTES = 32 * 1024 * 1024
"""The expected bytes of a wave's documents, which a worker holds in memory."""

LOST_WAVE_ATTEMPTS = 3
"""The most fetches of a page whose staged rows are lost."""
