"""`make chaos SEEDS=n FIRST_SEED=m`: plays seeds m to m+n-1; exits 1 and names the seeds with violations."""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from process_exit import run_to_exit
from tests.chaos.play import Play
from tests.chaos.schedule import Schedule
from tests.chaos.suite import Report, play_all


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Plays seeded schedules of faults.")
    parser.add_argument("--seeds", type=int, default=100, help="how many (default: %(default)s)")
    parser.add_argument("--first-seed", type=int, default=1, help="the first one (default: %(default)s)")
    parser.add_argument("--at-once", type=int, default=16, help="played at a time (default: %(default)s)")
    parser.add_argument("--show", action="store_true", help="show the schedules and play none")
    parser.add_argument("--keep", type=Path, help="a folder for the servers' data and logs, which stay there")
    arguments = parser.parse_args()
    schedules = [Schedule.of(arguments.first_seed + number) for number in range(arguments.seeds)]
    if arguments.show:
        print("\n".join(schedule.describe() for schedule in schedules))
        return
    played = 0

    def on_end(play: Play) -> None:
        nonlocal played
        played += 1
        for violation in play.violations:
            print(f"seed {play.schedule.seed}: {violation}", flush=True)
        if played % 20 == 0:
            print(f"{played} of {len(schedules)} seeds played", file=sys.stderr, flush=True)

    with TemporaryDirectory() as folder:
        report = play_all(schedules, arguments.keep or Path(folder), at_once=arguments.at_once, on_end=on_end)
    _print(report)
    sys.exit(bool(report.failed or report.of_all))


def _print(report: Report) -> None:
    print(f"{report.seeds} seeds in {report.seconds:.0f} s, {len(report.failed)} with a violation")
    print(f"{sum(report.faults.values())} faults injected:")
    for kind, times in report.faults.items():
        print(f"  {kind} {times}")
    for name, times in report.events.items():
        print(f"  {name} {times}")
    for violation in report.of_all:
        print(violation)
    for play in report.failed:
        print(f"again: make chaos SEEDS=1 FIRST_SEED={play.schedule.seed}")
        print(play.schedule.describe())


if __name__ == "__main__":
    run_to_exit(main)
