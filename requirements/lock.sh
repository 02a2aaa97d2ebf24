#!/bin/sh
# Chooses the newest versions that pyproject.toml allows and writes them with their hashes, for every platform and Python from
# 3.11 on. dev.lock is chosen first; the smaller ones are parts of it, so that what is tested is what is deployed.
set -eu
cd "$(dirname "$0")/.."
compile() {
  .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header "$@"
}
compile --upgrade pyproject.toml --extra local --group dev -o requirements/dev.lock
compile --upgrade pyproject.toml --extra local --group build -c requirements/dev.lock -o requirements/local.lock
compile --upgrade pyproject.toml --extra edge -c requirements/dev.lock -o requirements/run.lock
compile --upgrade --group build -c requirements/dev.lock -o requirements/build.lock
# An extra that only `--engine spark` and its tests need, so it stands beside the others.
echo 'pyspark>=4.1,<5' | compile --upgrade - -c requirements/dev.lock -o requirements/spark.lock
