#!/bin/sh
# Create .venv: install the locked dependencies, verified by hash, then this project in editable mode.
# Usage: setup.sh PYTHON. Prints one line per step; output of the tools appears on errors only.
set -eu
cd "$(dirname "$0")/.."
python=${1:-python3}

step() { echo "set-up: $1"; }

give_up() {
    echo "error: $1" >&2
    echo "  hint: $2" >&2
    exit 2
}

command -v "$python" >/dev/null 2>&1 ||
    give_up "$python was not found" "install Python 3.11 or newer, or name one: make PYTHON=python3.13"
version=$("$python" -c 'import platform; print(platform.python_version())') ||
    give_up "$python does not start" "name another Python: make PYTHON=python3.13"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    give_up "Python 3.11 or newer is needed, $python is $version" "name a newer one: make PYTHON=python3.13"
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    give_up "$python $version comes without the venv module" "on Debian and Ubuntu: apt-get install python3-venv"

rm -f .venv/.stamp
if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    step "new environment in .venv, Python $version"
    "$python" -m venv --clear .venv
fi

step "uv, by pip"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt

export UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1
# The native engine takes longest, so its build starts here, in parallel; a later call of tools/native.sh installs it.
trap 'trap - TERM; kill 0' INT TERM
if command -v cargo >/dev/null 2>&1; then
    .venv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes -r requirements/native.txt &&
        sh tools/native.sh --ahead &
fi

step "locked dependencies, by uv"
if ! .venv/bin/uv pip sync --quiet --python .venv/bin/python --require-hashes requirements/dev.txt; then
    step "uv could not (see above); by pip, which reads pip's own configuration"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
fi

step "this project, editable"
.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
wait
touch .venv/.stamp
