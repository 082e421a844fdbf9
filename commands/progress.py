"""The live view of a run: a bar a collection on a terminal, a line an event otherwise. All on stderr."""

from types import TracebackType

from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.text import Text

from commands.output import stderr, styled
from inventory.outcomes import CollectionResult, Outcome, RunStatus
from workflows.messages import PortfolioProgress, SyncProgress


class RunView:
    """Shows the progress of one run. A context manager."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._live = stderr.is_terminal
        self._progress = Progress(
            SpinnerColumn(finished_text=" "),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[pages]:>4} pages {task.fields[items]:>7} items"),
            TextColumn("{task.fields[outcome]}"),
            console=stderr,
            transient=True,
            disable=not self._live,
        )
        self._tasks: dict[str, TaskID] = {}
        self._settled: set[str] = set()
        self._status: RunStatus | None = None

    def __enter__(self) -> "RunView":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, progress: SyncProgress) -> None:
        """Takes in an answer of the `progress` query."""
        if progress.status is not self._status:
            self._status = progress.status
            waiting = f" ({progress.waiting_for.replace('_', ' ')})" if progress.waiting_for else ""
            self.say(f"{self._title}: {progress.status}{waiting}")
        for type_key, result in progress.collections.items():
            self._show_collection(type_key, result)

    def say(self, line: str) -> None:
        """One line above the bars."""
        self._progress.console.print(line, style="dim", markup=False)

    def _show_collection(self, type_key: str, result: CollectionResult) -> None:
        if type_key not in self._tasks:
            self._tasks[type_key] = self._progress.add_task(
                f"{self._title} {type_key}", total=None, pages=0, items=0, outcome=""
            )
        settled = result.outcome is not None
        self._progress.update(
            self._tasks[type_key],
            pages=result.pages,
            items=result.items,
            outcome=styled(result.outcome) if settled else Text("reading"),
            total=1 if settled else None,
            completed=1 if settled else None,
        )
        if settled and type_key not in self._settled:
            self._settled.add(type_key)
            if not self._live or result.outcome is not Outcome.COMPLETE:
                error = f" {result.error_code}" if result.error_code else ""
                self.say(f"{self._title}: {type_key} {result.outcome}, {result.items} items{error}")


class PortfolioView:
    """Shows the progress of a portfolio run: one bar of its tenants on a terminal, a line now and then otherwise."""

    def __init__(self) -> None:
        self._live = stderr.is_terminal
        self._progress = Progress(
            SpinnerColumn(finished_text=" "),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:>4} of {task.total} tenants"),
            TextColumn("{task.fields[outcomes]}"),
            console=stderr,
            transient=True,
            disable=not self._live,
        )
        self._task: TaskID | None = None
        self._said = ""

    def __enter__(self) -> "PortfolioView":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, progress: PortfolioProgress) -> None:
        """Takes in an answer of the `progress` query."""
        counts = progress.counts
        if not counts.tenants:
            return
        outcomes = ", ".join(
            f"{number} {name}"
            for name in ("success", "partial", "failed", "cancelled", "joined")
            if (number := getattr(counts, name))
        )
        if self._task is None:
            self._task = self._progress.add_task("portfolio", total=counts.tenants, outcomes="")
        self._progress.update(
            self._task, completed=counts.ended, outcomes=f"{len(progress.running)} running  {outcomes}"
        )
        line = f"portfolio: {counts.ended} of {counts.tenants} tenants" + (f": {outcomes}" if outcomes else "")
        if not self._live and line != self._said:
            self._said = line
            self.say(line)

    def say(self, line: str) -> None:
        """One line above the bar."""
        self._progress.console.print(line, style="dim", markup=False)
