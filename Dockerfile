# The command line as an image, for CI and for machines without Python:
#
#   docker build --tag slipway .
#   docker run --rm --env AWS_REGION --env AWS_ACCESS_KEY_ID --env AWS_SECRET_ACCESS_KEY --env AWS_SESSION_TOKEN \
#     slipway deploy --cluster main --service-name shop --image shop:v2
#
# EXTRAS: report (pictures), yaml (configurations in YAML). BASE: any image with Python 3.11 or newer and its pip.
ARG BASE=python:3.13-slim

FROM ${BASE} AS made
ARG EXTRAS=yaml
WORKDIR /source
COPY pyproject.toml README.md ./
COPY slipway slipway
RUN python3 -m venv --without-pip /opt/slipway \
 && python3 -m pip --python /opt/slipway/bin/python install --no-cache-dir --disable-pip-version-check ".[${EXTRAS}]"

FROM ${BASE}
COPY --from=made /opt/slipway /opt/slipway
# A user without a name: whoever mounts a folder to write to gives their own with --user.
RUN mkdir -p /home/slipway/.aws /work && chown -R 65532:65532 /home/slipway /work
ENV PATH=/opt/slipway/bin:${PATH} HOME=/home/slipway
USER 65532:65532
WORKDIR /work
ENTRYPOINT ["slipway"]
CMD ["--help"]
