# One image for every process of a deployment: headwater api, worker, sweeper, edge, migrate.
#   docker build -t headwater .
# BASE is any Debian-like image with Python 3.11 or newer as python3, pip and venv. Versions and hashes come from requirements/*.lock.
ARG BASE=docker.io/library/python:3.12-slim-bookworm

FROM ${BASE} AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1
RUN python3 -m venv /opt/headwater && python3 -m venv /opt/build
COPY requirements/run.lock requirements/build.lock requirements/
RUN /opt/headwater/bin/pip install --quiet --require-hashes -r requirements/run.lock \
 && /opt/build/bin/pip install --quiet --require-hashes -r requirements/build.lock
COPY . .
# Building the wheel builds the pages' scripts and styles; Node comes from the build lock.
RUN /opt/build/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /opt/headwater/bin/pip install --quiet --no-deps /wheels/*.whl

FROM ${BASE}
ENV PATH=/opt/headwater/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin headwater \
 && mkdir -p /var/lib/headwater/scratch /var/lib/headwater/edge /var/lib/headwater/keys \
 && chown -R 10001:10001 /var/lib/headwater
COPY --from=build /opt/headwater /opt/headwater
USER 10001:10001
WORKDIR /var/lib/headwater
EXPOSE 8080
ENTRYPOINT ["headwater"]
CMD ["--help"]
