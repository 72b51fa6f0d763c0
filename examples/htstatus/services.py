"""The PostgreSQL of all three environments, in the background.

    python services.py start
    python services.py stop

A process of ours keeps the server up, and .handrail/services locked for as long as it lives: the kernel lets go of
the lock however the process ends, so a lock that is free means that nothing runs, whatever the file says.
"""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

FOLDER = Path(__file__).parent / ".handrail"
STATE, LOG = FOLDER / "services", FOLDER / "services.log"
PATIENCE_S = 60.0
GLANCE_S = 1.0
LOOK_S = 0.05
FOLDER_LOOK_S = 1.0


def urls():
    """The URL of each environment's database; none where no server runs."""
    state = running()
    return state["urls"] if state else {}


def running():
    """What the keeper wrote down: its process id and the URLs. None where there is no keeper, or it is not ready."""
    with suppress(FileNotFoundError, json.JSONDecodeError), STATE.open() as file:
        if not is_free(file):
            return json.load(file)
    return None


def is_free(file):
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def start():
    state = running()
    if state and answers(state):
        print("the services are running already")
        return
    if state:
        end(state)  # its server was killed
    FOLDER.mkdir(exist_ok=True)
    with LOG.open("ab") as log:
        began = log.tell()
        keeper = subprocess.Popen(
            [sys.executable, __file__, "keep"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # the terminal may close
        )
    deadline = time.monotonic() + PATIENCE_S
    while not (state := running()):
        if keeper.poll() or time.monotonic() > deadline:
            sys.exit(f"the services did not start:\n{LOG.read_bytes()[began:].decode(errors='replace')}")
        time.sleep(LOOK_S)
    for environment, url in state["urls"].items():
        print(f"{environment:12} {url}")
    print("`make stop-services` ends the server; its databases stay in .handrail/postgres")


def answers(state):
    """Whether the server takes connections on its socket."""
    address = parse_qs(urlsplit(next(iter(state["urls"].values()))).query)
    with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
        client.connect(f"{address['host'][0]}/.s.PGSQL.{address['port'][0]}")
        return True
    return False


def stop():
    state = running()
    if not state:
        print("no services are running")
        return
    end(state)
    print("the services have ended")


def end(state):
    os.kill(state["pid"], signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE_S
    while running() == state:
        if time.monotonic() > deadline:
            sys.exit(f"process {state['pid']}, which keeps the services, does not end")
        time.sleep(LOOK_S)


def keep():
    """Be the keeper: hold the lock and the server until SIGTERM, or until somebody deletes the folder.

    Where there is a keeper already, leave it to that one.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    state = os.open(STATE, os.O_RDWR | os.O_CREAT, 0o600)  # never closed: the server ends before the lock does
    if not locked(state):
        return
    os.truncate(state, 0)
    import database  # noqa: PLC0415 - it asks us for the URLs
    import embedded  # noqa: PLC0415 - needs PostgreSQL's programs, which nobody who only asks has to have

    made = {environment: embedded.database(name) for environment, (_, name) in database.DATABASES.items()}
    os.write(state, json.dumps({"pid": os.getpid(), "urls": made}).encode())
    while STATE.exists():
        time.sleep(FOLDER_LOOK_S)


def locked(descriptor):
    """Whether we got the lock; who only looks holds it for a moment."""
    deadline = time.monotonic() + GLANCE_S
    while time.monotonic() < deadline:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(LOOK_S)
    return False


if __name__ == "__main__":
    {"start": start, "stop": stop, "keep": keep}[sys.argv[1]]()
