"""How the program ends when it is told to."""

import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from ops.environment import ROOT
from tests.checkout import at_a_terminal

HERE: dict[str, Any] = {"cwd": ROOT, "env": os.environ | {"PYTHONPATH": "src"}, "text": True}
ENDING = """
import signal, sys
from ops.terminal import end_on_signals
end_on_signals()
first, *others = [getattr(signal, name) for name in sys.argv[1:]]
try:
    signal.raise_signal(first)
    print("went on")
except KeyboardInterrupt:
    for number in others:
        signal.raise_signal(number)
    print("cleaned up")
"""
# a program that has something to do at its end
CHILD = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
print("there", flush=True)
signal.pause()
"""
ATTENDING = "import sys, ops.terminal as t; sys.exit(t.attend([sys.executable, '-c', sys.argv[1]]))"


@pytest.mark.parametrize(
    ("numbers", "ignored", "said"),
    [
        ("SIGINT", "", "cleaned up\n"),
        ("SIGTERM SIGTERM", "", "cleaned up\n"),  # of the group, and passed on by make
        ("SIGINT SIGTERM", "", "cleaned up\n"),
        ("SIGHUP SIGTERM", "", "cleaned up\n"),
        ("SIGTERM SIGINT", "", ""),  # by somebody who cannot wait
        ("SIGHUP", "trap '' HUP; ", "went on\n"),  # as nohup
    ],
)
def test_what_is_told_to_end_cleans_up_first(numbers: str, ignored: str, said: str) -> None:
    command = ["sh", "-c", f'{ignored}exec "$@"', "sh", sys.executable, "-c", ENDING, *numbers.split()]
    done = subprocess.run(command, capture_output=True, timeout=30, preexec_fn=at_a_terminal, **HERE)
    assert done.stdout == said, done.stderr


def test_what_is_attended_is_told_to_end_and_may() -> None:
    command = [sys.executable, "-c", ATTENDING, CHILD]
    with subprocess.Popen(command, stdout=subprocess.PIPE, **HERE) as running:
        assert running.stdout
        assert running.stdout.readline() == "there\n"
        running.send_signal(signal.SIGINT)  # at a terminal, the other's
        running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=30) == 3
