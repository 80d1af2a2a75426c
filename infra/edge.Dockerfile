# The edge worker on a machine of one's own, in wrangler's workerd with its storage, database, objects and queues
# (build context: the repository's root): for compose.yaml. Beyond one machine the same worker is deployed to Cloudflare.
#
#   docker build -f infra/edge.Dockerfile -t omni-iml-edge .

ARG NODE_VERSION=24.21.0

FROM node:${NODE_VERSION}-bookworm-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY shared/package.json shared/
COPY edge/package.json edge/
COPY gpu-runner/package.json gpu-runner/
COPY sdk/package.json sdk/
# wrangler, and with it workerd, is a development dependency.
RUN npm ci --workspaces --include-workspace-root

FROM node:${NODE_VERSION}-bookworm-slim
# ps, by which a start finds what an earlier one has left; certificates, for workerd's own connections.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates procps \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY --from=packages --chown=1000:1000 /app/node_modules /app/node_modules
COPY --chown=1000:1000 package.json wrangler.toml tsconfig.json ./
COPY --chown=1000:1000 shared shared
COPY --chown=1000:1000 edge edge
COPY --chown=1000:1000 sdk sdk
COPY --chown=1000:1000 docs docs
COPY --chown=1000:1000 test/samples test/samples
COPY --chown=1000:1000 infra infra
COPY --chown=1000:1000 model/release model/release
RUN install --directory --owner=1000 --group=1000 /state /run/omni-iml .wrangler edge/playground/dist \
 && node edge/playground/build.ts \
 && chown --recursive 1000:1000 edge/playground
ENV HOME=/tmp WRANGLER_SEND_METRICS=false OMNI_IML_STATE=/state PORT=8787
USER 1000:1000
VOLUME ["/state"]
EXPOSE 8787
HEALTHCHECK --start-period=120s --interval=10s --timeout=5s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/healthz`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "infra/local/serve.ts"]
