# The GPU runner, in two builds of one file (build context: the repository's root):
#
#   docker build -f infra/gpu-runner.Dockerfile --target cuda -t omni-iml-runner:cuda .
#   docker build -f infra/gpu-runner.Dockerfile --target cpu  -t omni-iml-runner:cpu  .
#
#   docker run --gpus all --read-only --tmpfs /tmp -p 8790:8790 -e RUNNER_SECRET=… omni-iml-runner:cuda
#
# Nothing is written outside /tmp, and the user is a number, so that `runAsNonRoot` can be checked.
#
# The npm package of onnxruntime brings the CPU library only; its own installer of the CUDA provider downloads from a
# host outside the package registries and is switched off (.npmrc). The wheel `onnxruntime-gpu` of the same version
# holds the same provider library, and beside libonnxruntime.so.1 is where the loader looks for it.

ARG NODE_VERSION=24.21.0
# Of onnxruntime-node in package-lock.json; the build stops where the two differ.
ARG ONNXRUNTIME_VERSION=1.30.0
# From 1.27 on the provider is built for CUDA 13.
ARG CUDA_IMAGE=nvidia/cuda:13.0.2-cudnn-runtime-ubuntu24.04

FROM node:${NODE_VERSION}-bookworm-slim AS node

FROM node AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY shared/package.json shared/
COPY edge/package.json edge/
COPY gpu-runner/package.json gpu-runner/
COPY sdk/package.json sdk/
RUN npm ci --omit=dev --workspace gpu-runner --workspace shared

FROM python:3.11.14-slim-bookworm AS cuda-provider
ARG ONNXRUNTIME_VERSION
RUN pip download --no-deps --dest /wheel "onnxruntime-gpu==${ONNXRUNTIME_VERSION}" \
 && python -m zipfile -e /wheel/*.whl /unpacked \
 && mkdir /provider \
 && mv /unpacked/onnxruntime/capi/libonnxruntime_providers_cuda.so \
       /unpacked/onnxruntime/capi/libonnxruntime_providers_shared.so /provider/ \
 && rm -r /wheel /unpacked

# What both builds have in common.
FROM scratch AS application
COPY --from=packages /app/node_modules /app/node_modules
COPY package.json /app/
COPY shared /app/shared
COPY gpu-runner /app/gpu-runner
COPY model/release /app/model/release

FROM node AS cpu
COPY --from=application /app /app
WORKDIR /app
# A native library that lacks another must stop the build and not the first start.
COPY infra/missing-libraries.sh /usr/local/bin/missing-libraries
RUN missing-libraries node_modules/onnxruntime-node/bin/napi-v6/linux/x64 node_modules/@img
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8790 PROVIDER=cpu
USER 1000:1000
EXPOSE 8790
# Loading and warming the model takes its time; after that the runner answers within moments or is not well.
HEALTHCHECK --start-period=120s --interval=10s --timeout=5s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/readyz`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# No shell in between: SIGTERM reaches the runner, which lets running analyses end (DRAIN_SECONDS).
CMD ["node", "gpu-runner/main.ts"]

FROM ${CUDA_IMAGE} AS cuda
ARG ONNXRUNTIME_VERSION
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY --from=application /app /app
COPY --from=cuda-provider /provider/ /app/node_modules/onnxruntime-node/bin/napi-v6/linux/x64/
WORKDIR /app
# A provider of another version, or a library it needs that the image lacks, must stop the build and not the first start.
# libcuda comes with the host's driver.
COPY infra/missing-libraries.sh /usr/local/bin/missing-libraries
RUN node -e "const { version } = require('onnxruntime-node/package.json'); if (version !== '${ONNXRUNTIME_VERSION}') throw new Error('onnxruntime-node is ' + version)" \
 && missing-libraries node_modules/onnxruntime-node/bin/napi-v6/linux/x64 node_modules/@img
# TF32 off for every NVIDIA library: fp32 is what the release was measured with.
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8790 PROVIDER=cuda NVIDIA_TF32_OVERRIDE=0 \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 1000:1000
EXPOSE 8790
HEALTHCHECK --start-period=300s --interval=10s --timeout=5s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/readyz`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "gpu-runner/main.ts"]
