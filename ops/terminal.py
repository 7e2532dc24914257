"""How the program speaks: short lines, and one line when it cannot go on; as JSON where JSON is set."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from app import NAME


def say(text: str) -> None:
    print(json.dumps({"say": text}) if os.environ.get("JSON") else text, flush=True)


def tell(found: Mapping[str, str]) -> None:
    """What it all came to, by names; in GitHub's summary, too."""
    note("\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in found.items()), ""]))
    if os.environ.get("JSON"):
        print(json.dumps({"result": dict(found)}), flush=True)
        return
    for name, value in found.items():
        say(f"  {name:22} {value}")


def note(markdown: str) -> None:
    """In GitHub's summary of a job, where there is one."""
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(f"{markdown}\n")


def agree(asked: str) -> None:
    """By YES=yes, or at the terminal; otherwise the program ends."""
    if os.environ.get("YES") != "yes":
        confirm(asked, "yes", "nobody is there to ask; say so with YES=yes")


def confirm(asked: str, word: str, unasked: str) -> None:
    """By that word, typed at the terminal; otherwise the program ends."""
    if not sys.stdin.isatty():
        fail(unasked)
    print(f"{asked}. Type {word} to go on: ", end="", file=sys.stderr, flush=True)
    if input() != word:
        fail("nothing was changed")


def fail(text: str) -> NoReturn:
    """One line on standard error, and a non-zero exit."""
    if os.environ.get("JSON"):
        print(json.dumps({"error": text}), flush=True)
    sys.exit(f"{NAME}: {text}")


def end_on_signals() -> None:
    """A closed terminal, or a pipeline that is cancelled, ends as Ctrl-C does; but `nohup` still counts."""

    def end(*_: object) -> NoReturn:
        signal.signal(signal.SIGTERM, lambda *_: None)  # make passes on what its whole group got already
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a second one ends the ending
        raise KeyboardInterrupt

    def hung_up(*_: object) -> None:
        signal.raise_signal(signal.SIGTERM)  # which what runs may handle by itself

    for number, handler in ((signal.SIGINT, end), (signal.SIGTERM, end), (signal.SIGHUP, hung_up)):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def attend(command: Sequence[str], **how: Any) -> int:
    """Runs what answers Ctrl-C by itself, and is told to end where we are; its exit code."""
    with subprocess.Popen(command, **how) as running:
        signal.signal(signal.SIGINT, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: running.terminate())
        return running.wait()
