#!/bin/sh
# Resolve the locks: names, versions and hashes for all platforms and Python versions, without addresses. Arguments are
# passed to uv.
set -eu
cd "$(dirname "$0")/.."

lock() {
    output=$1
    shift
    echo "lock: $output"
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
        --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --output-file "$output" "$@"
}

# One resolution selects all versions; the smaller locks are subsets of it.
lock requirements/dev.txt "$@" pyproject.toml requirements/dev.in
lock requirements/runtime.txt "$@" --constraint requirements/dev.txt pyproject.toml
# For container images: with all notification channels.
lock requirements/server.txt "$@" --constraint requirements/dev.txt --extra apprise pyproject.toml
# For nodes of a fleet, and for `make test`: the former with Ray.
lock requirements/ray.txt "$@" --constraint requirements/dev.txt --extra apprise --extra ray pyproject.toml
lock requirements/bootstrap.txt "$@" --constraint requirements/dev.txt requirements/bootstrap.in
lock requirements/native.txt "$@" --constraint requirements/dev.txt requirements/native.in
