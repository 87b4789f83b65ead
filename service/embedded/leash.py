"""How does a child end with the process that started it? As a script: `leash.py PARENT SIGNAL UID GID COMMAND…`.

It becomes COMMAND, as another account where one is given (UID -1: as it is), after asking the kernel for SIGNAL when
PARENT dies, however it dies. Standard library only, so that it starts in a few milliseconds; where the kernel is not
Linux nothing is asked, and an orderly end is the only one.
"""

import ctypes  # before the change of account, which may not be able to read it
import os
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, end_signal: int, uid: int, gid: int, command: list[str]) -> None:
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        # After the change of account, which would clear it again.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, end_signal)
        if os.getppid() != parent:
            sys.exit("the process that asked for this one is gone")
    try:
        os.execv(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5:])
