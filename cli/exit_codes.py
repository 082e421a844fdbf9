"""The exit codes of commands that end with a run."""

from cli.errors import ExitCode
from inventory.outcomes import RunStatus

EXIT_CODE_OF_STATUS = {
    RunStatus.SUCCESS: ExitCode.SUCCESS,
    RunStatus.PARTIAL: ExitCode.PARTIAL,
    RunStatus.FAILED: ExitCode.FAILED,
    RunStatus.CANCELLED: ExitCode.CANCELLED,
}
