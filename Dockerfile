# syntax=docker/dockerfile:1

FROM rust:1.95-slim-bookworm AS builder
WORKDIR /src
COPY . .
# what was downloaded and built before is kept between builds, but is no part of an image
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package connexus \
    && cp target/release/connexus /usr/local/bin/connexus

FROM debian:bookworm-slim
# to verify databases that are reached over TLS
COPY --from=builder /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=builder /usr/local/bin/connexus /usr/local/bin/
RUN useradd --system --user-group --uid 10001 --home-dir /data --shell /usr/sbin/nologin connexus \
    && install --directory --owner=connexus --group=connexus --mode=0700 /data
USER connexus
WORKDIR /data
VOLUME /data
ENV CONNEXUS__SERVER__BIND=0.0.0.0:5000 \
    CONNEXUS__DATA__DIR=/data \
    CONNEXUS__STORAGE__URL=sqlite:/data/connexus.db \
    CONNEXUS__FILES__URL=file:/data/files \
    CONNEXUS__FILES__TEMPORARY_DIR=/data/tmp
EXPOSE 5000
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s CMD ["connexus", "health"]
ENTRYPOINT ["connexus"]
