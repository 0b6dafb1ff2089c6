"""A listener on the store's events that stops something at the n-th event of the whole run.

BENCH_KILL_AT: the number; BENCH_KILL_EVENT: the one kind of event that is counted, such as ``worker before
object.rename``, all where it is empty; BENCH_KILL_FOLDER: where the processes of a run count together, and where
``killed`` is left by the one that did it; BENCH_KILL_SIGNAL: SIGKILL goes to the process that the event is in, SIGINT
to the command, as Ctrl-C does.
"""

import fcntl
import os
import signal
from pathlib import Path


def heard(event):
    folder = Path(os.environ["BENCH_KILL_FOLDER"])
    command = _command()
    line = f"{'main' if command == os.getpid() else 'worker'} {event}"
    counted = os.environ.get("BENCH_KILL_EVENT", "")
    with (folder / "events").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        number = 1 + sum(before == f"{line}\n" for before in file) if counted else 1 + len(file.readlines())
        file.write(f"{line}\n")
        file.flush()
    if counted in {"", line} and number == int(os.environ.get("BENCH_KILL_AT", 0)):
        (folder / "killed").touch()
        how = os.environ.get("BENCH_KILL_SIGNAL", "SIGKILL")
        os.kill(command if how == "SIGINT" else os.getpid(), getattr(signal, how))


def _command():
    """Return the process of the command that this one works for: the parent of the server of workers, else itself."""
    process = os.getpid()
    while process > 1:
        words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
        status = Path(f"/proc/{process}/status").read_text()
        parent = int(status.partition("PPid:")[2].split()[0])
        if b"bench.execution.zygote" in words:
            own = Path(f"/proc/{parent}/cmdline").read_bytes().split(b"\0")
            if b"bench.execution.zygote" not in own:
                return parent
        process = parent
    return os.getpid()
