"""A listener on the store's events that kills the process it is in at the n-th event of the whole run.

BENCH_KILL_AT: the number; BENCH_KILL_FOLDER: where the processes of a run count together; BENCH_KILL_SIGNAL: which
signal.
"""

import fcntl
import os
import signal
from pathlib import Path


def heard(event):
    folder = Path(os.environ["BENCH_KILL_FOLDER"])
    with (folder / "events").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        number = len(file.readlines()) + 1
        file.write(f"{os.getpid()} {event}\n")
        file.flush()
    if number == int(os.environ.get("BENCH_KILL_AT", 0)):
        os.kill(os.getpid(), getattr(signal, os.environ.get("BENCH_KILL_SIGNAL", "SIGKILL")))
