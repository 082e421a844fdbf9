# The runtime image of worker and starter. deploy/check-image-steps tries its steps without Docker.
ARG PYTHON_IMAGE=python:3.13.15-slim-bookworm@sha256:2325bb286ec344af3e5898cc224b5844e2707ac6e26b1632516fd3edc84a5e26
FROM ${PYTHON_IMAGE}

# The moment of the commit: no file, not even a compiled module, gets that of the build (docs/kubernetes.md).
ARG SOURCE_DATE_EPOCH

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /app

# Dependencies first: they change less often than the code.
COPY requirements/runtime.txt requirements/runtime.txt
RUN python -m pip install --require-hashes -r requirements/runtime.txt

COPY activities activities
COPY answers answers
COPY cli cli
COPY control control
COPY delivery delivery
COPY graph graph
COPY inventory inventory
COPY storage storage
COPY web web
COPY workflows workflows
COPY configuration.py connections.py payload_codec.py process_exit.py run_traces.py starter.py temporal_errors.py temporal_runtime.py tenants_source.py tenants_table.py worker.py worker_schedules.py ./

# Each command, and each health check of a worker, would compile its modules anew.
RUN python -m compileall -q --invalidation-mode unchecked-hash .

RUN useradd --system --uid 10001 --no-create-home inventory
USER 10001

HEALTHCHECK --interval=60s --timeout=45s --start-period=60s --retries=3 CMD ["python", "worker.py", "--check"]

CMD ["python", "worker.py"]
