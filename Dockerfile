# Two stages: the first needs Go and a C compiler, the second holds the binary and what TLS needs.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=1 go build -trimpath -ldflags="-s -w" -o /out/zonewire ./cmd/zonewire

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 zonewire \
 && useradd --uid 10001 --gid 10001 --home-dir /var/lib/zonewire --no-create-home --shell /usr/sbin/nologin zonewire \
 && install -d -o zonewire -g zonewire -m 0750 /var/lib/zonewire
COPY --from=build /out/zonewire /usr/local/bin/zonewire
# The database, its secret and the Maildir are relative to this folder; so `docker exec … zonewire zone ls` finds them.
WORKDIR /var/lib/zonewire
VOLUME /var/lib/zonewire
USER 10001:10001
ENV ZONEWIRE_HTTP_LISTEN=0.0.0.0:8080
EXPOSE 8080
STOPSIGNAL SIGTERM
# No curl in the image: bash speaks enough HTTP to ask whether the daemon is alive.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/${ZONEWIRE_HTTP_LISTEN##*:} && printf 'GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3 && head -n 1 <&3 | grep -q ' 200 '"]
ENTRYPOINT ["zonewire"]
CMD ["serve"]
