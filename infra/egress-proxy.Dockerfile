# The egress proxy (build context: the repository's root):
#
#   docker build -f infra/egress-proxy.Dockerfile -t omni-iml-egress-proxy .
#
# It needs the way out to the internet and must be reached by the worker alone.

ARG NODE_VERSION=24.21.0

FROM node:${NODE_VERSION}-bookworm-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY shared/package.json shared/
COPY edge/package.json edge/
COPY gpu-runner/package.json gpu-runner/
COPY sdk/package.json sdk/
RUN npm ci --omit=dev --workspace edge --workspace shared

FROM node:${NODE_VERSION}-bookworm-slim
WORKDIR /app
COPY --from=packages /app/node_modules /app/node_modules
COPY package.json ./
COPY shared shared
COPY edge/package.json edge/
COPY edge/egress edge/egress
COPY infra/egress-proxy infra/egress-proxy
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8791
USER 1000:1000
EXPOSE 8791
HEALTHCHECK --start-period=20s --interval=10s --timeout=5s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/healthz`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "infra/egress-proxy/main.ts"]
