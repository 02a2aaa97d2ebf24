#!/bin/sh
# `make compose-test`: builds the image, brings docker-compose.yml up, sends a video, plays it, and takes everything down again.
#
# With Docker and its compose plugin where an engine answers, else with podman and podman-compose. Where the official images cannot be
# pulled, a base made with debootstrap and one stand-in image made of the same server packages that `headwater up` uses take their place.
#   BUILD_OPTIONS, RUN_OPTIONS   more options for every build and every podman container, e.g. "--runtime runc"
set -eu
cd "$(dirname "$0")/../.."
here=tests/compose
python=.venv/bin/python
project=headwater-compose-test
export BUILD_OPTIONS="${BUILD_OPTIONS:-}" RUN_OPTIONS="${RUN_OPTIONS:-}"

if docker compose version >/dev/null 2>&1 && docker info >/dev/null 2>&1; then
  engine=docker
  compose() { docker compose -p $project "$@"; }
elif command -v podman >/dev/null && command -v podman-compose >/dev/null && { command -v catatonit || [ -x /usr/libexec/podman/catatonit ]; } >/dev/null; then
  engine=podman
  compose() {
    what=$1
    shift
    # shellcheck disable=SC2086
    if [ "$what" = up ]; then podman-compose -p $project --podman-run-args="$RUN_OPTIONS" up "$@"; else podman-compose -p $project "$what" "$@"; fi
  }
else
  echo "compose-test needs Docker with its compose plugin, or podman, podman-compose and catatonit (Debian: apt install them)." >&2
  exit 3
fi

can_pull() { $engine image inspect "$1" >/dev/null 2>&1 || $engine pull -q "$1" >/dev/null 2>&1; }

base=${HEADWATER_BASE_IMAGE:-docker.io/library/python:3.12-slim-bookworm}
if ! can_pull "$base"; then
  base=localhost/headwater-base:bookworm
  if ! $engine image inspect $base >/dev/null 2>&1; then
    echo "Making a base image with debootstrap, as the official one cannot be pulled."
    command -v debootstrap >/dev/null || { echo "debootstrap is missing: apt install debootstrap." >&2; exit 3; }
    root=$(mktemp -d)
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$root" >/dev/null
    tar -C "$root" -c . | $engine import - $base >/dev/null
    rm -rf "$root"
  fi
fi

echo "Building the image."
# shellcheck disable=SC2086
$engine build -q $BUILD_OPTIONS --build-arg BASE=$base -t localhost/headwater . >/dev/null

if ! can_pull docker.io/library/postgres:17-bookworm; then
  echo "Building the stand-in for PostgreSQL, Valkey and SeaweedFS, as the official images cannot be pulled."
  context=$(mktemp -d)
  cp requirements/local.lock $here/standin.py $here/standin.Dockerfile "$context"
  # shellcheck disable=SC2086
  $engine build -q $BUILD_OPTIONS --build-arg BASE=$base -f "$context/standin.Dockerfile" -t localhost/headwater-standin "$context" >/dev/null
  rm -rf "$context"
  export POSTGRES_IMAGE=localhost/headwater-standin VALKEY_IMAGE=localhost/headwater-standin SEAWEEDFS_IMAGE=localhost/headwater-standin
fi

secret() { $python -c 'import secrets; print(secrets.token_hex(24))'; }
export HEADWATER_IMAGE=localhost/headwater HEADWATER_BASE_IMAGE=$base HEADWATER_EDGE_CACHE_GIB=1
POSTGRES_PASSWORD=$(secret) S3_ACCESS_KEY=$(secret) S3_SECRET_KEY=$(secret) HEADWATER_SECRET_KEY=$(secret)
HEADWATER_PORT=$($python -c 'from stack.servers import free_ports; print(free_ports(1)[0])')
export POSTGRES_PASSWORD S3_ACCESS_KEY S3_SECRET_KEY HEADWATER_SECRET_KEY HEADWATER_PORT
export HEADWATER_PUBLIC_URL=http://127.0.0.1:$HEADWATER_PORT

finish() {
  status=$?
  [ $status = 0 ] || for service in migrate api worker edge seaweedfs postgres; do
    echo "--- $service"
    compose logs $service 2>&1 | tail -n 20
  done
  compose down -v >/dev/null 2>&1 || true
  exit $status
}
trap finish EXIT
trap 'exit 130' INT TERM

echo "Starting the services."
# By name, because podman-compose 1.0 knows no profiles.
compose up -d postgres valkey seaweedfs migrate api worker sweeper edge >/dev/null 2>&1 || { echo "The services did not start." >&2; exit 1; }
key() { $engine exec "$($engine ps -q --filter "name=${project}[_-]api[_-]1")" cat /var/lib/headwater/keys/api-key; }
$python -m tests.compose.play "$HEADWATER_PUBLIC_URL" wait
HEADWATER_API_KEY=$(key) $python -m tests.compose.play "$HEADWATER_PUBLIC_URL" play
