#!/bin/sh
# Build the native engine into .venv, optimised, from the locked crates. Where there is no Rust toolchain, or its registry
# is out of reach, one line says so and the asyncio engine serves. Usage: native.sh STAMP
set -eu
cd "$(dirname "$0")/.."
stamp=$1
export CARGO_TARGET_DIR=native/target CARGO_TERM_COLOR=never

without() {
    echo "set-up: $1: the asyncio engine serves (same figures, lower ceiling)"
    touch "$stamp"
    exit 0
}

rm -f .venv/.native-*
command -v cargo >/dev/null 2>&1 || without "no Rust toolchain, so no native engine"
command -v cc >/dev/null 2>&1 || without "no C compiler (cc), so no native engine"
cargo fetch --quiet --locked --manifest-path native/Cargo.toml 2>.venv/native.log ||
    without "the Rust crates could not be fetched (see .venv/native.log), so no native engine"
echo "set-up: native engine, by cargo (a few minutes the first time)"
rm -rf .venv/wheels
if ! .venv/bin/maturin build --quiet --release --locked --manifest-path native/python/Cargo.toml --out .venv/wheels \
    >.venv/native.log 2>&1; then
    cat .venv/native.log >&2
    echo "error: the native engine did not build" >&2
    echo "  hint: PATH without cargo sets everything up without it" >&2
    exit 2
fi
.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --reinstall .venv/wheels/atm_engine-*.whl
touch "$stamp"
