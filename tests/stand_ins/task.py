"""A task of the emulated ECS: a container's program as a process of this machine.

Run as `python -P tests/stand_ins/task.py HOST PORT PROGRAM [ARGUMENT ..]` it is that process, with the
program's own interpreter. PROGRAM is a module or a file. A container has 0.0.0.0:8000 for itself and a
process has not, so uvicorn.run listens at HOST and PORT here, whatever the program tells it.
"""

import contextvars
import os
import runpy
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CHECKOUT = os.environ.get("STAND_IN_CHECKOUT") or str(ROOT)  # whose src it is
PYTHON = os.environ.get("STAND_IN_PYTHON") or str(ROOT / ".venv/bin/python")
PROGRAM = os.environ.get("STAND_IN_TASK") or "app.entrypoints.container"
IMAGE = {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}  # as the Dockerfile has it
START_SECONDS = float(os.environ.get("STAND_IN_START_SECONDS") or "60")


class Task:
    """Runs from its creation on. `say` gets each line that it prints, in a thread with this one's context."""

    def __init__(
        self,
        image: str,
        port: int,
        arguments: list[str],
        variables: dict[str, str],
        say: Callable[[str], None],
    ) -> None:
        self.host, self.port = free_address(port)
        self.last = ""
        where = ["-P", __file__, self.host, str(self.port)]
        self.process = subprocess.Popen(
            [PYTHON, *where, PROGRAM, *arguments],
            cwd=code_of(image),
            env=IMAGE | variables | {"PATH": os.environ["PATH"], "PYTHONPATH": "src"},
            stdin=subprocess.PIPE,  # it ends when this does, however the emulator ends
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )
        context = contextvars.copy_context()
        self.reader = threading.Thread(target=context.run, args=(self.read, say), daemon=True)
        self.reader.start()

    def read(self, say: Callable[[str], None]) -> None:
        for line in self.process.stdout or []:
            self.last = line.rstrip() or self.last
            say(line.rstrip())

    def wait_until_healthy(self) -> None:
        """As the image's HEALTHCHECK sees it. Raises ValueError with the last line that it printed."""
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if (code := self.process.poll()) is not None:
                self.reader.join(timeout=5)
                raise ValueError(f"Essential container in task exited with code {code}: {self.last}")
            if self.answers():
                return
            time.sleep(0.05)
        raise ValueError(f"Task failed container health checks for {START_SECONDS:g} s: {self.last}")

    def answers(self) -> bool:
        door = HTTPConnection(self.host, self.port, timeout=2)
        try:
            door.request("GET", "/health")
            return door.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            door.close()

    def stop(self, seconds: float) -> None:
        """SIGTERM, `seconds` to heed it, SIGKILL; for the program alone, then for what it left behind."""
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.reader.join(timeout=5)


def code_of(image: str) -> str:
    """What stands in for docker built (tests/stand_ins/docker.py), or else the checkout as it is."""
    images = os.environ.get("STAND_IN_IMAGES")
    built = Path(images or "/nowhere") / image.rpartition(":")[2]
    return str(built) if built.is_dir() else CHECKOUT


def free_address(port: int) -> tuple[str, int]:
    """The container's port at an address of its own, as Linux has all of 127.0.0.0/8; else another port."""
    first, second, third = (1 + secrets.randbelow(254) for _ in range(3))
    with suppress(OSError), socket.create_server((f"127.{first}.{second}.{third}", port)) as probe:
        own: tuple[str, int] = probe.getsockname()
        return own
    with socket.create_server(("127.0.0.1", 0)) as probe:
        another: tuple[str, int] = probe.getsockname()
        return another


def end_with_the_emulator() -> None:
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)


def main(host: str, port: str, program: str, *arguments: str) -> None:
    import uvicorn  # noqa: PLC0415  # the emulator, which imports this file, has none

    run = uvicorn.run

    def run_here(*given: Any, **options: Any) -> None:
        run(*given, **options | {"host": host, "port": int(port)})

    uvicorn.run = run_here
    threading.Thread(target=end_with_the_emulator, daemon=True).start()
    sys.argv = [program, *arguments]
    start = runpy.run_path if program.endswith(".py") else runpy.run_module
    start(program, run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
