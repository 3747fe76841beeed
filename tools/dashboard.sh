#!/bin/sh
# Build the dashboard into src/atm/api/static from the locked packages. Without Node.js (20.19 or newer) or access to its
# registry, print one line; the API then works without the dashboard. Usage: dashboard.sh STAMP
set -eu
cd "$(dirname "$0")/.."
stamp=$1

without() {
    echo "set-up: $1: no dashboard, the API and the command line work without it"
    touch "$stamp"
    exit 0
}

rm -f .venv/.dashboard-*
command -v npm >/dev/null 2>&1 || without "no Node.js"
node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
    without "Node.js $(node --version) is older than 20.19"
export CI=true NO_UPDATE_NOTIFIER=1
lock=$(cksum webapp/package-lock.json)
if [ "$lock" != "$(cat webapp/node_modules/.atm-lock 2>/dev/null || true)" ]; then
    echo "set-up: the dashboard's packages, by npm"
    # Not `npm ci`, which needs the packages of all platforms; a registry may have those of some platforms only.
    # This installs the locked versions, verifies hashes, runs no package scripts and writes no lock.
    npm install --prefix webapp --no-save --ignore-scripts --no-audit --no-fund >.venv/dashboard.log 2>&1 ||
        without "its packages could not be fetched (see .venv/dashboard.log)"
    echo "$lock" >webapp/node_modules/.atm-lock
fi
echo "set-up: the dashboard, by vite"
rm -rf src/atm/api/static
npm run --prefix webapp --silent build >.venv/dashboard.log 2>&1 || {
    tail -n 30 .venv/dashboard.log >&2
    exit 1
}
touch "$stamp"
