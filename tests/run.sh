#!/bin/sh
# What `make test` does: every check, even when an earlier one failed, and a summary in the end. `sh tests/run.sh lint` stops before the tests.
set -u
cd "$(dirname "$0")/.."
bin=.venv/bin
failed=""

# Says nothing when all is well.
quietly() {
  name=$1
  shift
  if said=$("$@" 2>&1); then
    echo "ok $name"
  else
    failed="$failed, $name"
    printf 'FAILED %s\n%s\n' "$name" "$said"
  fi
}

if [ "${1:-}" = lint ]; then
  quietly "ruff check" $bin/ruff check --quiet .
  quietly "ruff format" $bin/ruff format --quiet --check .
  quietly "mypy" $bin/mypy --no-error-summary
  quietly "import-linter" $bin/lint-imports --no-logo
else
  # The tests wait much of their time, so the other checks are made beside them.
  linted=$(mktemp)
  trap 'rm -f "$linted"' EXIT
  sh tests/run.sh lint >"$linted" 2>/dev/null &
  linting=$!
  $bin/python -m tests.chromium
  HEADWATER_TEST_AGAIN=1 $bin/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder || failed="$failed, pytest"
  wait $linting || failed="$failed, style, types or layers"
  cat "$linted"
fi

if [ -n "$failed" ]; then
  echo "Failed: ${failed#, }." >&2
  exit 1
fi
