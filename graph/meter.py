"""Counts of requests to Graph."""

from collections.abc import Sequence
from datetime import timedelta


class GraphMeter:
    """Counts nothing; the worker's subclass counts for Prometheus."""

    def batch_answered(self, status: int | None, duration: timedelta, answers: Sequence[int]) -> None:
        """Called after each `$batch`, with its status (None without an answer) and its requests' statuses."""
