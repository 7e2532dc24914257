#!/bin/sh
# Makes .venv from requirements/dev.txt. Needs python3 (3.11 or later) and nothing else.
set -eu
fail() { echo "install: $1" >&2; exit 1; }

command -v python3 >/dev/null || fail "python3 is missing: install Python 3.11 or later"
version=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  fail "python3 is $version, and 3.11 or later is needed (macOS: brew install python; Ubuntu: apt install python3.12)"

[ -x .venv/bin/python ] && .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || rm -rf .venv
if command -v uv >/dev/null; then
  uv=uv
  [ -x .venv/bin/python ] || uv venv --quiet --clear --python "$(command -v python3)" .venv
else
  uv=.venv/bin/uv
  if [ ! -x $uv ]; then
    echo "install: making .venv with Python $version"
    python3 -c 'import venv, ensurepip' 2>/dev/null ||
      fail "python3 has no venv: sudo apt install python$version-venv (or put uv on PATH)"
    python3 -m venv --clear .venv
    # uv's own pinned lines of the requirements file
    awk '/^[^ ]/ { wanted = /^uv==/ } wanted' requirements/dev.txt >.venv/uv.txt
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.txt ||
      fail "uv could not be installed: see the lines above"
  fi
fi
echo "install: installing requirements/dev.txt"
"$uv" pip sync --python .venv/bin/python --quiet --compile-bytecode --require-hashes requirements/dev.txt
touch .venv/.ready
