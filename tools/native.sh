#!/bin/sh
# Build the native engine, optimised and from the locked crates, and install it into .venv. Without a Rust toolchain or
# access to its registry, print one line; the asyncio engine is used instead. Usage: native.sh STAMP, or native.sh --ahead:
# only compile, without output; the call that installs it reports errors.
set -eu
cd "$(dirname "$0")/.."
stamp=$1
export CARGO_TARGET_DIR=native/target CARGO_TERM_COLOR=never

without() {
    echo "set-up: $1: the asyncio engine serves (same figures, lower ceiling)"
    touch "$stamp"
    exit 0
}

build() {
    .venv/bin/maturin build --quiet --release --locked --manifest-path native/python/Cargo.toml --out .venv/wheels
}

if [ "$stamp" = --ahead ]; then
    if build; then :; fi >/dev/null 2>&1
    exit 0
fi
rm -f .venv/.native-*
command -v cargo >/dev/null 2>&1 || without "no Rust toolchain, so no native engine"
command -v cc >/dev/null 2>&1 || without "no C compiler (cc), so no native engine"
echo "set-up: native engine, by cargo (about a minute the first time)"
rm -rf .venv/wheels
if ! build >.venv/native.log 2>&1; then
    # A build fetches the crates that it needs. A fetch by itself tells a registry out of reach from a broken build.
    cargo fetch --quiet --locked --manifest-path native/Cargo.toml 2>>.venv/native.log ||
        without "the Rust crates could not be fetched (see .venv/native.log), so no native engine"
    cat .venv/native.log >&2
    echo "error: the native engine did not build" >&2
    echo "  hint: PATH without cargo sets everything up without it" >&2
    exit 2
fi
.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --reinstall .venv/wheels/atm_engine-*.whl
touch "$stamp"
