"""Environments of their own, beside .venv's."""

import sys
from pathlib import Path

import pytest

from ops import tools


def test_one_whose_python_is_gone_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a cache restores it after a patch release of Python."""
    asked: list[str] = []

    def uv(*words: str) -> str:
        asked.append(words[0])
        if words[0] == "venv":
            python = tmp_path / "load/bin/python"
            python.parent.mkdir(parents=True, exist_ok=True)
            python.unlink(missing_ok=True)
            python.symlink_to(sys.executable)
        return ""

    monkeypatch.setattr(tools, "uv", uv)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert tools.environment_of("load") == tmp_path / "load"
    tools.environment_of("load")
    assert asked == ["venv", "pip"]
    python = tmp_path / "load/bin/python"
    python.unlink()
    python.symlink_to(tmp_path / "gone")
    tools.environment_of("load")
    assert asked == ["venv", "pip", "venv", "pip"]
