"""A copy of the checkout, for what must not touch this one, and the commands run in it."""

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from ops.environment import ROOT
from tests.mail_server import free_port

START_SECONDS = 180  # so that what hangs is told
# SSL_CERT_FILE: how this machine reaches a package index
PUBLIC = {"PATH", "HOME", "LANG", "PG", "SSL_CERT_FILE", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG"}


def copy_checkout(folder: Path) -> Path:
    """What git tracks or would, with this checkout's .venv."""
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    for name in listed.stdout.splitlines():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).exists():
            shutil.copy2(ROOT / name, target)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


def commit(folder: Path, message: str = "all") -> str:
    """What changed, whatever this machine's git is set to; the newest commit."""
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    if git(folder, "status", "--porcelain"):
        git(folder, "commit", "--quiet", "--message", message)
    return git(folder, "rev-parse", "--short=12", "HEAD")


def git(folder: Path, *words: str) -> str:
    whose = {f"GIT_{who}_{what}": "a" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    variables = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"} | whose
    command = ["git", "-C", str(folder), *words]
    done = subprocess.run(command, env=variables, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


def at_a_terminal() -> None:
    """Not as by nohup, by which these tests may run."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Checkout:
    """A copy of what git tracks, and the commands run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.environment = {name: os.environ[name] for name in PUBLIC & set(os.environ)}
        self.environment["PORT"] = str(self.port)
        self.log = folder.parent / "log"
        self.started: list[subprocess.Popen[bytes]] = []

    def make(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Runs to the end."""
        return subprocess.run(
            ["make", "-s", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            input=stdin,
        )

    def start(self, target: str = "dev") -> "Serving":
        with self.log.open("w") as log:
            process = subprocess.Popen(
                ["make", "-s", target],
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=at_a_terminal,  # noqa: PLW1509  # it takes no lock
            )
        self.started.append(process)
        return Serving(self, process)

    def left_behind(self) -> list[str]:
        """What still runs from or on this copy, after a moment to end."""
        end = time.monotonic() + 10
        while (found := self.processes()) and time.monotonic() < end:
            time.sleep(0.05)
        return found

    def processes(self) -> list[str]:
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                here = str(self.folder) in " ".join(process.cmdline()) or process.cwd() == str(self.folder)
                if here and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(f"{process.pid} {process.cmdline()}")
        return found


class Serving:
    """A running `make dev` or `make lambda`."""

    def __init__(self, checkout: Checkout, process: subprocess.Popen[bytes]) -> None:
        self.checkout = checkout
        self.process = process
        self.base = f"http://localhost:{checkout.port}"

    def told(self) -> str:
        """All it printed, once it says how to stop it."""
        return self.wait_for("Ctrl-C stops everything")

    def wait_for(self, words: str) -> str:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            if words in (text := self.checkout.log.read_text()):
                return text
            time.sleep(0.05)
        pytest.fail(f"{words!r} was never said: {self.checkout.log.read_text()}")

    def stop(self, number: signal.Signals) -> int:
        """Signals the whole group, as a terminal does."""
        os.killpg(self.process.pid, number)
        try:
            return self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            left = "\n".join(self.checkout.processes())
            pytest.fail(f"it did not end; still there:\n{left}\n\nit said:\n{self.checkout.log.read_text()}")
