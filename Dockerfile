# The daemon alone: the sandbox is for development. Its folder is not copied, and so the wheel lacks it.
FROM python:3.11.14-slim-trixie AS build
WORKDIR /src
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# Wheels of the whole lock, each hash compared, also of what only development needs. The image is made of these wheels
# alone: pip installs `resetd` without extras, and so takes those that the daemon depends on and leaves the others here.
COPY requirements.lock ./
RUN pip wheel --require-hashes --requirement requirements.lock --wheel-dir /wheels
COPY pyproject.toml README.md LICENSE ./
COPY schemas ./schemas
COPY statemachines ./statemachines
COPY daemon ./daemon
RUN pip wheel --no-index --find-links /wheels --no-deps --wheel-dir /wheels . \
 && python -m venv /opt/resetd \
 && /opt/resetd/bin/pip install --no-index --find-links /wheels resetd

FROM python:3.11.14-slim-trixie
# pg_dump must not be older than the servers that it dumps: raise this with them.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends postgresql-client-17 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin resetd \
 && install --directory --owner resetd --group resetd --mode 0700 /data /backups
COPY --from=build /opt/resetd /opt/resetd
ENV PATH=/opt/resetd/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    RESETD_DATA_DIR=/data \
    RESETD_BACKUP_URL=file:///backups \
    RESETD_PG_BIN=/usr/lib/postgresql/17/bin \
    RESETD_API_HOST=0.0.0.0
USER 10001:10001
VOLUME ["/data", "/backups"]
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/livez', timeout=4)"]
ENTRYPOINT ["resetd"]
CMD ["serve"]
