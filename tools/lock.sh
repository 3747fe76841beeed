#!/bin/sh
# Resolve the locks: names, versions and hashes for every platform and Python, no addresses. Arguments go to uv.
set -eu
cd "$(dirname "$0")/.."

lock() {
    output=$1
    shift
    echo "lock: $output"
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
        --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --output-file "$output" "$@"
}

# One resolution decides all versions; the smaller locks are cut out of it.
lock requirements/dev.txt "$@" pyproject.toml requirements/dev.in
lock requirements/runtime.txt "$@" --constraint requirements/dev.txt pyproject.toml
# What an image has beside it: every channel of notifications.
lock requirements/server.txt "$@" --constraint requirements/dev.txt --extra apprise pyproject.toml
lock requirements/bootstrap.txt "$@" --constraint requirements/dev.txt requirements/bootstrap.in
lock requirements/native.txt "$@" --constraint requirements/dev.txt requirements/native.in
