# The worker's image: hashed dependencies, the installed package, no compiler, no root.
FROM python:3.11-slim-bookworm AS build

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/servicetime
COPY requirements/ /src/requirements/
RUN /opt/servicetime/bin/pip install --require-hashes -r /src/requirements/worker.txt

# What builds the package comes from the lock file too.
RUN sed -n '/^setuptools==/,/^ *#/p' /src/requirements/all.txt > /tmp/build.txt \
    && pip install --require-hashes -r /tmp/build.txt

WORKDIR /src
COPY pyproject.toml README.md ./
COPY geofence/ geofence/
COPY models/ models/
COPY simulation/ simulation/
COPY streams/ streams/
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /opt/servicetime/bin/pip install --no-deps /wheels/*.whl

FROM python:3.11-slim-bookworm

# LightGBM's wheel needs GNU OpenMP.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/servicetime /opt/servicetime

RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin servicetime \
    && install --directory --owner servicetime --group servicetime /data /var/cache/servicetime
ENV PATH=/opt/servicetime/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NUMBA_CACHE_DIR=/var/cache/servicetime \
    SERVICETIME_DATA_DIR=/data
USER servicetime
WORKDIR /data
VOLUME /data
EXPOSE 8000

HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]

ENTRYPOINT ["servicetime"]
CMD ["worker", "--web-host", "0.0.0.0", "--web-port", "8000"]
