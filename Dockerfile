# One image for all services; the command says which one. Builds with BuildKit and with the classic builder.

FROM python:3.11-slim-bookworm AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1 UV_LINK_MODE=copy
COPY requirements/uv.txt /requirements/
RUN pip install --require-hashes -r /requirements/uv.txt
COPY requirements/image.txt requirements/dask.txt /requirements/
# An optional extra: `dask`, or nothing.
ARG EXTRAS=
# Compiled here: the services run on a read-only file system. Left out: tests (numpy's own are imported by numpy.testing),
# what only compilers read, and Arrow Flight. The last line fails the build where too much is gone.
RUN uv venv --python "$(command -v python3)" /opt/venv \
 && uv pip sync --python /opt/venv/bin/python --require-hashes --compile-bytecode \
        /requirements/image.txt ${EXTRAS:+"/requirements/$EXTRAS.txt"} \
 && cd /opt/venv/lib/python3.11/site-packages \
 && find . -path ./numpy -prune -o -type d -name tests -print -prune | xargs rm -rf \
 && find . -name '*.pyx' -delete -o -name '*.pxd' -delete -o -name '*.pyi' -delete \
 && rm -rf pyarrow/include pyarrow/src pyarrow/*flight* \
 && /opt/venv/bin/python -B -c 'import flower, numpy.testing, pyarrow.dataset, pyarrow.parquet, scipy.stats, seaborn, sklearn.ensemble'

FROM python:3.11-slim-bookworm
# Folders that volumes are mounted on belong to the services' user: a new volume takes over owner and mode.
RUN groupadd --gid 10001 rookery \
 && useradd --uid 10001 --gid 10001 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin rookery \
 && install -d -o 10001 -g 10001 -m 2770 /run/rookery /var/lib/flower \
 && install -d -o 10001 -g 10001 -m 2775 /app /app/shared /app/shared/datasets /app/shared/data /app/shared/models
COPY --from=packages /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    ROOKERY_HOME=/tmp/rookery SHARED_DIR=/app/shared BIND_HOST=0.0.0.0 LOG_FORMAT=json \
    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MPLBACKEND=Agg MPLCONFIGDIR=/tmp/matplotlib
WORKDIR /app
COPY deploy/fresh deploy/make-secrets deploy/rookery /usr/local/bin/
COPY alembic.ini /app/
COPY migrations /app/migrations
COPY common /app/common
COPY beat /app/beat
COPY services /app/services
RUN python -m compileall -q common beat services migrations
USER 10001:10001
CMD ["rookery", "--help"]
