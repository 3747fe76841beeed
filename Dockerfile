# API Test Machine with its native engine, as a server. From a checkout: docker build -t api-test-machine .
# For nodes of a fleet, with Ray: docker build --build-arg LOCK=ray -t api-test-machine:ray .

# Images are named by exact version. To pin one by digest: docker buildx imagetools inspect node:24.11-slim, and then
# node:24.11-slim@sha256:…
FROM node:24.11-slim AS dashboard
WORKDIR /source
COPY openapi.json .
COPY docs docs
COPY webapp webapp
RUN npm install --prefix webapp --no-save --ignore-scripts --no-audit --no-fund && npm run --prefix webapp build

FROM rust:1.91-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY requirements requirements
RUN python3 -m venv /build && /build/bin/pip install --no-cache-dir --require-hashes -r requirements/bootstrap.txt \
    && /build/bin/uv pip install --no-cache --python /build --require-hashes -r requirements/dev.txt
COPY . .
COPY --from=dashboard /source/src/atm/api/static src/atm/api/static
RUN /build/bin/python -m hatchling build -t wheel -d /wheels \
    && /build/bin/maturin build --release --locked --manifest-path native/python/Cargo.toml --out /wheels

FROM python:3.13.9-slim-bookworm
ARG LOCK=server
COPY requirements/bootstrap.txt requirements/$LOCK.txt /locks/
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --require-hashes -r /locks/bootstrap.txt \
    && uv pip install --system --no-cache --compile-bytecode --require-hashes -r /locks/$LOCK.txt \
    && uv pip install --system --no-cache --compile-bytecode --no-deps /wheels/*.whl \
    && rm -rf /wheels /locks \
    && useradd --system --home-dir /var/lib/atm atm && install -d -o atm -m 700 /var/lib/atm
USER atm
WORKDIR /var/lib/atm
VOLUME /var/lib/atm
ENV ATM_DATA_DIR=/var/lib/atm
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health/ready', timeout=2)"]
ENTRYPOINT ["atm"]
CMD ["serve", "--host", "0.0.0.0"]
