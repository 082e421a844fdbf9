# The runtime image of worker and starter. Its steps can be tried without Docker: deploy/check-image-steps
FROM python:3.13-slim-bookworm

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /app

# Dependencies first: they change less often than the code.
COPY requirements/runtime.txt requirements/runtime.txt
RUN python -m pip install --require-hashes -r requirements/runtime.txt

COPY activities activities
COPY answers answers
COPY commands commands
COPY graph graph
COPY inventory inventory
COPY local local
COPY reports reports
COPY storage storage
COPY workflows workflows
COPY configuration.py connections.py process_exit.py starter.py worker.py pyproject.toml README.md ./

RUN useradd --system --uid 10001 --no-create-home inventory
USER 10001

HEALTHCHECK --interval=30s --timeout=20s --start-period=20s --retries=3 CMD ["python", "worker.py", "--check"]

CMD ["python", "worker.py"]
