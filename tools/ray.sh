#!/bin/sh
# Install Ray at its locked version into .venv: 210 MB that only the tests of fleets need, so set-up goes without. Where no
# registry has it for this machine, print one line; those tests are skipped then. Usage: ray.sh STAMP
set -eu
cd "$(dirname "$0")/.."
stamp=$1
export UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1

echo "set-up: Ray, for the tests of fleets"
.venv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes -r requirements/ray.txt ||
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/ray.txt ||
    echo "set-up: Ray could not be installed (see above), so the tests of fleets on Ray are skipped"
touch "$stamp"
