# The image of `headwater`: how to build and run it is in docs/deploy/docker.md.
#
# Plain syntax, for Docker with or without BuildKit, buildah and podman. The base images can be others: that of the build needs
# cargo, and apt-get where a C compiler or make is missing; that of the console npm; that of the run needs apt-get, and a C library as new as the build's.
ARG BUILD_IMAGE=docker.io/library/rust:1.95-bookworm
ARG CONSOLE_IMAGE=docker.io/library/node:22-bookworm-slim
ARG RUN_IMAGE=docker.io/library/debian:bookworm-slim

# ── The manifests, and next to each the least that cargo takes for a package. What is copied from here stays the same for as
# ── long as the manifests and the lock file do, and with it the layer of the dependencies below.
FROM ${BUILD_IMAGE} AS manifests
WORKDIR /src
COPY . .
RUN set -eu; mkdir /manifests; cp Cargo.toml Cargo.lock /manifests/; \
    for manifest in */Cargo.toml crates/*/Cargo.toml; do \
        package="/manifests/${manifest%/Cargo.toml}"; \
        mkdir -p "$package/src"; \
        cp "$manifest" "$package/"; \
        : > "$package/src/lib.rs"; \
        echo 'fn main() {}' > "$package/src/main.rs"; \
    done

# ── The web console, which is part of the binary.
FROM ${CONSOLE_IMAGE} AS console
WORKDIR /src/console
COPY sdk/typescript/src /src/sdk/typescript/src
COPY console ./
RUN npm ci --no-audit --no-fund && npm run build

# ── The binary.
FROM ${BUILD_IMAGE} AS build
# What aws-lc-sys and tikv-jemalloc-sys are compiled with. The default image has it.
# hadolint ignore=DL3008
RUN if ! command -v cc || ! command -v make; then \
        apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev make && rm -rf /var/lib/apt/lists/*; \
    fi
WORKDIR /src
# The same for both builds: other flags would compile the dependencies anew.
ENV CARGO_INCREMENTAL=0 CARGO_PROFILE_RELEASE_DEBUG=false CARGO_PROFILE_RELEASE_STRIP=symbols
COPY --from=manifests /manifests ./
# Then everything of our own goes, sources and what was made of them: cargo tells old from new by the time of a file, and the
# real sources are older than this layer.
RUN cargo build --locked --release --package headwater --bin headwater \
    && find target/release -depth -name '*headwater*' -exec rm -rf {} + \
    && find . -mindepth 1 -maxdepth 1 ! -name target -exec rm -rf {} +
COPY . .
COPY --from=console /src/console/dist ./console/dist
RUN cargo build --locked --release --package headwater --bin headwater

# ── What runs.
FROM ${RUN_IMAGE}
# Model providers and tools are reached over HTTPS.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
COPY LICENSE /usr/share/doc/headwater/LICENSE
COPY --from=build /src/target/release/headwater /usr/local/bin/headwater
# Nobody in particular, by number, so that a host can see that it is not root. The server writes no files.
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/headwater"]
CMD ["serve"]
