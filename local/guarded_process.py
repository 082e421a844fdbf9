"""Becomes another program that dies with its parent.

`python guarded_process.py PARENT_PID DEATH_SIGNAL USER PROGRAM …`

On Linux the kernel then sends DEATH_SIGNAL; elsewhere only the supervisor ends its children. USER, a user id or -, is
set first, since that clears the death signal (prctl(2), PR_SET_PDEATHSIG).
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, death_signal, user, *program = sys.argv[1:]
    if user != "-":
        os.setgroups([])
        os.setgid(int(user))
        os.setuid(int(user))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != int(parent):
            sys.exit("the parent has died already")
    os.execv(program[0], program)  # noqa: S606 - becoming the program is the purpose


if __name__ == "__main__":
    main()
