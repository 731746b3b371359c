# The image of every program: docker build -t activity:0.1.0 .
#
# Pinned by version. To pin by content, put the digest behind the tag, as in node:24.21.0-bookworm-slim@sha256:…;
# `docker buildx imagetools inspect node:24.21.0-bookworm-slim` prints it.
ARG NODE_IMAGE=node:24.21.0-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /project
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY .ci ./.ci
COPY src ./src
COPY migrations ./migrations
COPY infra/policies ./infra/policies
RUN npm run build

# The programs are one bundle of plain JavaScript: there are no packages, and nothing is written below /app.
# The embedded ClickHouse engine is not in the image; in a cluster there is a server.
FROM ${NODE_IMAGE}
ENV NODE_ENV=production
COPY --from=build /project/dist /app
WORKDIR /app
# No name: whether a user is root can then be told from the image alone (runAsNonRoot).
USER 65532:65532
# Young objects die in 8 MiB: two thirds of the memory that Node takes by itself, at the same speed.
ENTRYPOINT ["node", "--max-semi-space-size=8", "/app/activity.js"]
CMD ["--help"]
