# The service: base and serve requirements only, no training library, no shell in its command.
#
#   docker build --tag brainslice .
#   docker run --rm --read-only --cap-drop ALL --security-opt no-new-privileges --publish 127.0.0.1:8000:8000 \
#     --env BRAINSLICE_TOKEN --volume ./models/bundle:/project/models/bundle:ro brainslice
#
# Without the volume it serves the bundle that ships, where one does. It writes nothing, so its root may be read-only.

FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml requirements.txt README.md LICENSE ./
COPY src/brainslice src/brainslice
# The pins are constraints here: of what they name only what serving needs is installed. pip itself stays behind.
RUN python -m venv --without-pip /venv \
 && python -m pip --python /venv/bin/python install --no-cache-dir --compile --constraint requirements.txt ".[serve]"

FROM python:3.13-slim
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH \
    ORT_DISABLE_TELEMETRY=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /project
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/livez', timeout=4)"]
ENTRYPOINT ["brainslice"]
CMD ["serve", "--project-root", "/project", "--host", "0.0.0.0", "--port", "8000"]
