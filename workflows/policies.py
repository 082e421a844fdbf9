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
    # One look at Temporal a run; the next sweep does what this one cannot.
    "start_to_close_timeout": timedelta(minutes=4),
    "schedule_to_close_timeout": timedelta(minutes=10),
}


DIAGNOSIS: ActivityLimits = {
    **DATABASE,
    # Some 30 seconds for each 16 tenants that nobody answers; the person who waits sets the workflow's own limit.
    "start_to_close_timeout": timedelta(hours=1),
    "schedule_to_close_timeout": timedelta(hours=1),
}


RETENTION: ActivityLimits = {
    **DATABASE,
    # It waits for the merges of the tenant that are under way, and is in no hurry.
    "start_to_close_timeout": timedelta(minutes=6),
    "schedule_to_close_timeout": timedelta(hours=6),
}


WATCH: ActivityLimits = {
    **DATABASE,
    # The look at one tenant has 100 seconds, and all tenants of an activity are looked at side by side.
    "start_to_close_timeout": timedelta(minutes=4),
    # The next look does what this one cannot.
    "schedule_to_close_timeout": timedelta(minutes=10),
}


NOTE: ActivityLimits = {
    **DATABASE,
    # It compares the documents that a run has changed.
    "start_to_close_timeout": timedelta(minutes=5),
    # The next look notes what this one cannot.
    "schedule_to_close_timeout": timedelta(minutes=30),
}


DELIVERY: ActivityLimits = {
    **DATABASE,
    # It begins no further message after a minute, and one has 20 seconds.
    "start_to_close_timeout": timedelta(minutes=4),
    # What no worker sends by then, the next look does.
    "schedule_to_close_timeout": timedelta(minutes=30),
}

DELIVERY_TRIES = 4
"""The number of tries of one workflow. The next look sends the rest."""

LONGEST_DELIVERY_WAIT = timedelta(minutes=2)
"""The longest wait of one workflow. After a longer one, the next look sends the message."""


def fetch_limits(graph_patience: timedelta) -> ActivityLimits:
    """The limits of a fetch. `graph_patience`: how long to retry a wave while Graph cannot be reached.

    The activity gives up at its end; time lost to dead workers comes on top.
    """
    return {
        # The client gives one $batch 100 seconds; a token before it and the staging after it take seconds.
        "start_to_close_timeout": timedelta(minutes=4),
        # Whole-wave failures only (network, token endpoint): what Graph answers for a page is the frontier's patience.
        "schedule_to_close_timeout": graph_patience + timedelta(minutes=15),
        # Beats come every 4 seconds while a request is under way, so a dead worker is found within 20.
        "heartbeat_timeout": timedelta(seconds=20),
        "retry_policy": RetryPolicy(
            initial_interval=timedelta(seconds=1), backoff_coefficient=2.0, maximum_interval=timedelta(minutes=1)
        ),
    }


def wave_limits(graph_patience: timedelta) -> ActivityLimits:
    """A wave follows pages for 10 seconds and reads batches of details for 15; up to four of them queue."""
    return {**fetch_limits(graph_patience), "start_to_close_timeout": timedelta(minutes=10)}


QUEUE_POLL = timedelta(seconds=10)
"""How often queued runs of 0.3.0 ask for a slot, with jitter; later ones keep their place."""

LEASE_RENEWAL = timedelta(minutes=3)
"""How often a waiting run renews its lease: well within `activities.run_records.LEASE`."""

MERGE_ROWS = 1000
"""Staged rows that are worth a merge while more is fetched."""

MERGE_WAVES = 8
"""Fetched waves that do not wait for more."""

PAGE_CAP = 20_000
"""More pages of one listing are a loop: twenty million items at a thousand a page."""

WAVES_IN_FLIGHT = 2
"""A run's waves: while one is read, the next waits for a worker. Families with turns have their own."""

TURN_IN_WAVE = timedelta(seconds=2)
"""A wave itself waits for turns up to this gap; longer ones have a timer."""

WAVE_PAGE_BATCHES = 50
"""Some 200 collections are 30. The results are far below a Temporal message's limit."""

WAVE_BATCHES = 24
"""Batches of details or confirmations, each of several requests."""

WAVE_BYTES = 32 * 1024 * 1024
"""Expected bytes of a wave's documents: a worker holds them in memory."""

LOST_WAVE_ATTEMPTS = 3
"""Fetches of a wave whose staged rows were lost."""
