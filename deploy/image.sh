#!/usr/bin/env bash
# Builds the image of the Dockerfile and starts it, on a machine without a registry and without Docker: as root on a Debian.
#
#   target/debug/test-postgres deploy/image.sh target/release/headwater      # what it was called for by CI, with its own binary
#
# The base images are made here (debootstrap), with stand-ins for npm, and for cargo, which hands out the binary that is given: compiling it once
# more would take ten minutes and show nothing new. Everything else is as the Dockerfile says. Then `migrate` and `serve` run in it, as
# nobody in particular and with nothing to write on, against the Postgres of HEADWATER_TEST_ADMIN_URL, until /readyz answers; SIGTERM ends it.
# Where the tools cannot be had or the machine does not let it: NOT SHOWN, and no failure, unless HEADWATER_IMAGE_REQUIRE is set.
set -euo pipefail
cd "$(dirname "$0")/.."

not_shown() {
    echo "NOT SHOWN: that the image is built and starts: $1"
    [ -z "${HEADWATER_IMAGE_REQUIRE:-}" ] || exit 1
    exit 0
}
binary=$(realpath "${1:?which binary?}")
admin=${HEADWATER_TEST_ADMIN_URL:?run this by test-postgres}
[ "$(id -u)" = 0 ] || not_shown "this takes root"
if ! { command -v buildah && command -v debootstrap && command -v podman && command -v runc && command -v curl; } >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -q && apt-get install -y -q --no-install-recommends buildah debootstrap podman runc curl; } >/dev/null 2>&1 ||
        not_shown "its tools cannot be installed"
fi

work=$(mktemp -d)
container=
tidy() {
    [ -z "$container" ] || podman --runtime runc rm -f -t 0 "$container" >/dev/null 2>&1 || true
    buildah rm --all >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap tidy EXIT
printf '[storage]\ndriver="overlay"\ngraphroot="%s/storage"\nrunroot="%s/run"\n' "$work" "$work" > "$work/storage.conf"
export CONTAINERS_STORAGE_CONF=$work/storage.conf

# ── The base images ──────────────────────────────────────────────────────────────────────────────────────────────────
. /etc/os-release
debootstrap --variant=minbase "${VERSION_CODENAME:-bookworm}" "$work/root" >"$work/log" 2>&1 || not_shown "there is no base image"
rm -rf "$work/root/var/cache/apt/archives"/*.deb "$work/root/var/lib/apt/lists"/*
if ! base=$(buildah from scratch 2>"$work/log"); then
    # Slower, and everywhere.
    sed -i 's/overlay/vfs/' "$work/storage.conf"
    rm -rf "$work/storage" "$work/run"
    base=$(buildah from scratch 2>"$work/log") || not_shown "this machine lets nobody make images"
fi
buildah add -q "$base" "$work/root" / >/dev/null
buildah config --cmd bash --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$base"
buildah commit -q --rm "$base" localhost/base >/dev/null
rm -rf "$work/root"
cp "$binary" "$work/headwater"
strip "$work/headwater"
printf '#!/bin/sh\nset -eu\nmkdir -p target/release\ncp /given/headwater target/release/headwater\n' > "$work/cargo"
printf '#!/bin/sh\nset -eu\nmkdir -p dist\necho console > dist/index.html\n' > "$work/npm"
chmod +x "$work/cargo" "$work/npm"
toolchain=$(buildah from localhost/base)
buildah add -q "$toolchain" "$work/cargo" /usr/local/bin/cargo >/dev/null
buildah add -q "$toolchain" "$work/npm" /usr/local/bin/npm >/dev/null
buildah add -q "$toolchain" "$work/headwater" /given/headwater >/dev/null
buildah commit -q --rm "$toolchain" localhost/toolchain >/dev/null

# ── The image, of what is committed ──────────────────────────────────────────────────────────────────────────────────
mkdir "$work/context"
git archive HEAD | tar -x -C "$work/context"
buildah bud --isolation chroot -q -f "$work/context/Dockerfile" --build-arg BUILD_IMAGE=localhost/toolchain \
    --build-arg CONSOLE_IMAGE=localhost/toolchain --build-arg RUN_IMAGE=localhost/base -t localhost/headwater "$work/context" >"$work/log" 2>&1 || {
    tail -n 40 "$work/log"
    exit 1
}
size=$(buildah images --format '{{.Size}}' localhost/headwater)
user=$(buildah inspect --type image --format '{{.OCIv1.Config.User}}' localhost/headwater)
[ "$user" = 10001:10001 ] || { echo "error: the image runs as $user"; exit 1; }

# ── And started ──────────────────────────────────────────────────────────────────────────────────────────────────────
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
database=image_$$
psql=$(command -v psql || ls /usr/lib/postgresql/*/bin/psql | tail -n 1)
"$psql" -q "$admin" -c "CREATE DATABASE $database"
url=$(sed -E "s#/[^/?]*(\?|\$)#/$database\1#" <<< "$admin")
# Where Postgres listens, if that is a directory.
socket=$(python3 - "$admin" <<'PY'
import sys
from urllib.parse import parse_qs, unquote, urlsplit
parts = urlsplit(sys.argv[1])
host = parse_qs(parts.query).get("host", [unquote(parts.netloc.rsplit("@", 1)[-1].split(":")[0])])[0]
print(host if host.startswith("/") else "")
PY
)
# What a runtime sets of itself may be more than this machine allows.
options=(--network host --ulimit nofile=1024:1024 --ulimit nproc=4096:4096 --read-only
    -e "DATABASE_URL=$url" -e "HEADWATER_MASTER_KEY=$(printf '%064d' 7)" -e "PORT=$port" -e HEADWATER__SERVER__HOST=127.0.0.1
    -e HEADWATER__DATABASE__ROLE_PREFIX=image_)
if [ -n "$socket" ]; then
    options+=(-v "$socket:$socket")
    # Thrown away with what is in it. Nobody in particular may go through to the socket, and read nothing.
    chmod a+x "$(dirname "$socket")" "$socket"
    chmod a+rw "$socket"/.s.PGSQL.*
fi
podman --runtime runc run --rm --network host --ulimit nofile=1024:1024 --ulimit nproc=4096:4096 localhost/headwater --version \
    >"$work/log" 2>&1 || { cat "$work/log"; not_shown "this machine starts no containers"; }
podman --runtime runc run --rm "${options[@]}" localhost/headwater migrate >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
container=$(podman --runtime runc run -d "${options[@]}" localhost/headwater)
for _ in $(seq 100); do
    answer=$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/readyz" || true)
    [ "$answer" != 200 ] || break
    sleep 0.1
done
[ "$answer" = 200 ] || { podman logs "$container"; echo "error: /readyz answered $answer"; exit 1; }
podman --runtime runc stop -t 30 "$container" >/dev/null
code=$(podman inspect --format '{{.State.ExitCode}}' "$container")
[ "$code" = 0 ] || { podman logs "$container"; echo "error: it ended with $code"; exit 1; }
echo "the image ($size, with the binary that was given) is built, migrates, serves as 10001 with nothing to write on, and ends with 0"
