"""A run's live view on stderr: a bar on a terminal, lines elsewhere."""

from types import TracebackType
from typing import TypeVar

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Column

from cli.output import stderr
from inventory.outcomes import Outcome, RunStatus
from inventory.plurals import counted
from inventory.visible_text import visible
from workflows.messages import PortfolioProgress, SyncProgress

ViewT = TypeVar("ViewT", bound="_View")


class _View:
    def __init__(self, title: str, unit: str) -> None:
        self.watched = stderr.is_terminal
        """Whether a person may be looking."""
        self._title = visible(title)
        self._last_line = ""
        self._progress = Progress(
            SpinnerColumn(finished_text=" "),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=16),
            TextColumn(f"{{task.completed}} of {{task.total}} {unit}"),
            TextColumn("{task.fields[more]}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
            console=stderr,
            transient=True,
            expand=True,
            disable=not self.watched,
        )
        self._bar = self._progress.add_task(self._title, total=None, more="", visible=False)

    def __enter__(self: ViewT) -> ViewT:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def say(self, line: str) -> None:
        self._progress.console.print(line, style="dim", markup=False)

    def _show(self, done: int, total: int, more: str, line: str) -> None:
        self._progress.update(self._bar, completed=done, total=total, more=more, visible=total > 0)
        if not self.watched and line != self._last_line:
            self._last_line = line
            self.say(line)


class RunView(_View):
    def __init__(self, title: str) -> None:
        super().__init__(title, "collections")
        self._status: str | None = None

    def show(self, progress: SyncProgress) -> None:
        waiting = f" ({progress.waiting_for.replace('_', ' ')})" if progress.waiting_for else ""
        status = f"{progress.status}{waiting}"
        if self.watched and status != self._status:
            self._status = status
            self.say(f"{self._title}: {status}")
        results = progress.collections.values()
        ended = [result for result in results if result.outcome is not None]
        items = sum(result.items for result in results)
        unread = sum(collection.outcome in (Outcome.FAILED, Outcome.INCOMPLETE) for collection in ended)
        more = counted(items, "item") + (f", {unread} not read" if unread else "")
        line = f"{self._title}: {status}"
        if progress.status is not RunStatus.QUEUED:
            line += f", {len(ended)} of {counted(len(results), 'collection')}, {more}"
        self._show(len(ended), len(results), more, line)


class PortfolioView(_View):
    def __init__(self) -> None:
        super().__init__("portfolio", "tenants")

    def show(self, progress: PortfolioProgress) -> None:
        counts = progress.counts
        if not counts.tenants:
            return
        outcomes = counts.in_words()
        running = f"{len(progress.running)} running"
        line = f"portfolio: {counts.ended} of {counted(counts.tenants, 'tenant')}, {running}" + (
            f": {outcomes}" if outcomes else ""
        )
        self._show(counts.ended, counts.tenants, ", ".join(filter(None, (running, outcomes))), line)
