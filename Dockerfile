# Two targets: the server (the default), for ECS and Compose; and `lambda`, the API function as a container image.
# on the builder's own processor, for whichever is asked: pip fetches wheels of another one as well
FROM --platform=$BUILDPLATFORM python:3.13-slim AS packages
ARG TARGETARCH
COPY requirements/container.txt /
RUN case "$TARGETARCH" in arm64) machine=aarch64 ;; *) machine=x86_64 ;; esac \
 && pip install --quiet --disable-pip-version-check --no-cache-dir --root-user-action=ignore --no-compile \
      --platform "manylinux_2_28_$machine" --platform "manylinux2014_$machine" \
      --require-hashes --no-deps --only-binary :all: --target /app -r /container.txt \
 && rm -rf /app/bin
# unchecked: the code is read-only, and a layer's time stamps are of no use (PEP 552)
RUN python -m compileall -q -j 0 --invalidation-mode unchecked-hash -s /app -p /app /app
WORKDIR /code
COPY src/app app
COPY migrations migrations
RUN chmod -R go+rX /code && python -m compileall -q --invalidation-mode unchecked-hash /code

FROM public.ecr.aws/lambda/python:3.13 AS lambda
COPY requirements.txt /
RUN pip install --quiet --disable-pip-version-check --no-cache-dir --root-user-action=ignore --no-compile \
      --require-hashes --no-deps --only-binary :all: --target /var/task -r /requirements.txt \
 && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /var/task
COPY --from=packages /code /var/task
ARG COMMIT=unknown
ENV COMMIT=$COMMIT
CMD ["app.entrypoints.api_lambda.handler"]

FROM python:3.13-slim AS server
LABEL org.opencontainers.image.title="slipway" \
      org.opencontainers.image.licenses="MIT"
ENV PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
COPY --from=packages /app /app
COPY --from=packages /code /app
ARG COMMIT=unknown
ENV COMMIT=$COMMIT
LABEL org.opencontainers.image.revision=$COMMIT
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --start-interval=1s \
  CMD ["python", "-c", "from http.client import *; c = HTTPConnection('127.0.0.1', 8000, timeout=2); \
c.request('GET', '/health'); exit(c.getresponse().status != 200)"]
ENTRYPOINT ["python", "-m", "app.entrypoints.container"]
CMD ["serve"]
