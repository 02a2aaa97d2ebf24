#!/bin/sh
# What `make test` does: every check, even when an earlier one failed, and a summary in the end. `sh tests/run.sh lint` stops before the tests.
set -u
cd "$(dirname "$0")/.."
bin=.venv/bin
failed=""

check() {
  name=$1
  shift
  echo "== $name"
  "$@" || failed="$failed, $name"
}

check "ruff check" $bin/ruff check --quiet .
check "ruff format" $bin/ruff format --quiet --check .
check "mypy" $bin/mypy --no-error-summary
check "import-linter" $bin/lint-imports --no-logo --quiet
if [ "${1:-}" != lint ]; then
  echo "== browser"
  $bin/python -m tests.chromium
  check "pytest" $bin/python -m pytest
fi

if [ -n "$failed" ]; then
  echo "Failed: ${failed#, }." >&2
  exit 1
fi
