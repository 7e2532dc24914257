"""`make lambda`: the built artifact's handler in AWS's own runtime emulator, behind API Gateway's shape."""

import os
import platform
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

import psutil

from app import NAME
from app.foundation.settings import Settings
from ops import environment
from ops.build import filled
from ops.dev import free_port, greet, prepared
from ops.environment import ROOT
from ops.terminal import fail, say
from ops.tools import environment_of

HANDLER = "app.entrypoints.api_lambda.handler"
ARCHITECTURE = {"aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "x86_64")
EMULATOR = f"samcli/local/rapid/aws-lambda-rie-{ARCHITECTURE}"
GATE = ("MIGRATION_FUNCTION", "AWS_ENDPOINT_URL")  # what it is told
SECONDS = 29  # the time-out in template.yaml
EMULATED = sys.platform == "linux"
Process = subprocess.Popen[bytes]


def serve() -> None:
    settings = environment.load()
    port = free_port("3000")
    folder = ROOT
    if EMULATED:
        folder = filled(ARCHITECTURE)
    else:
        say("AWS's runtime emulator is for Linux only: the handler runs in process, from src.")
    with prepared(port) as where, function(folder, HANDLER) as url, gateway(port, url) as process:
        threading.Thread(target=greet, args=(settings, port, where), daemon=True).start()
        with suppress(KeyboardInterrupt):
            process.wait()


@contextmanager
def function(
    folder: Path, handler: str, *, seconds: int = SECONDS, log: IO[bytes] | None = None, level: str = "error"
) -> Iterator[str]:
    """A running function, from a folder such as the artifact's; gives the address that invokes it.

    It has the settings that this process has, and `seconds` for each answer. `level` is the emulator's own.
    """
    port, own = unused_ports(2)
    if EMULATED:
        emulator = next(environment_of("sam").glob(f"lib/*/site-packages/{EMULATOR}"))
        ports = ["--runtime-interface-emulator-address", f"127.0.0.1:{port}",
                 "--runtime-api-address", f"127.0.0.1:{own}"]  # fmt: skip
        python = str(environment_of("runtime") / "bin/python")
        command = [str(emulator), "--log-level", level, *ports, python, "-m", "awslambdaric", handler]
        variables = lambda_variables(folder, seconds)
    else:
        command = [sys.executable, "-m", "ops.in_process", str(port), handler]
        variables = dict(os.environ)
    with running(command, variables, log) as process:
        wait_for(port, process)
        yield f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"


@contextmanager
def gateway(port: int, url: str, *, log: IO[bytes] | None = None) -> Iterator[Process]:
    """API Gateway's part, in front of the function that `url` invokes."""
    command = [str(environment_of("sam") / "bin/python"), "-m", "ops.front", str(port), url]
    with running(command, dict(os.environ), log) as process:
        wait_for(port, process)
        yield process


def lambda_variables(folder: Path, seconds: int) -> dict[str, str]:
    """What Lambda sets, as far as `sam local` does (samcli/local/lambdafn/env_vars.py), and our settings."""
    return {
        "PATH": os.defpath,
        "LAMBDA_TASK_ROOT": str(folder),
        "PYTHONPATH": str(folder),
        "AWS_LAMBDA_FUNCTION_NAME": NAME,
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(seconds),
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
    } | {
        name: os.environ[name]
        for name in (*map(str.upper, Settings.model_fields), *GATE)
        if name in os.environ
    }


@contextmanager
def running(command: list[str], variables: dict[str, str], log: IO[bytes] | None = None) -> Iterator[Process]:
    """In a group of its own, so that Ctrl-C is ours to handle; ended, with all it started, at the end."""
    nothing = subprocess.DEVNULL
    process = subprocess.Popen(
        command, cwd=ROOT, env=variables, stdin=nothing, stdout=log, stderr=log, start_new_session=True
    )
    try:
        yield process
    finally:
        end(process)


def end(process: Process) -> None:
    """Asks the group to end, then kills what is left: the emulator's runtime is in a group of its own."""
    started: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):
        own = psutil.Process(process.pid)
        started = [own, *own.children(recursive=True)]
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=5)
    for one in started:
        with suppress(psutil.NoSuchProcess):
            one.kill()
    process.wait()


def wait_for(port: int, process: Process) -> None:
    while process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.02)
    fail("the function or its gateway did not start: see the lines above")


def unused_ports(count: int) -> list[int]:
    with ExitStack() as held:
        probes = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [probe.getsockname()[1] for probe in probes]
