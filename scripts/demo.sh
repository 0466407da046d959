#!/bin/sh
# From Debian's busybox to a built and running image: import a base, build a multi-stage Dockerfile, run it, build again.
#   demo.sh STAVE
set -eu
stave=$(realpath "${1:-.build/release/stave}")
here=$(cd "$(dirname "$0")" && pwd)
place=$(mktemp -d /var/tmp/stave-demo-XXXXXX)
trap 'rm -rf "$place"' EXIT INT TERM
export STAVE_ROOT="$place/store"

say() { printf '\n$ %s\n' "$*"; }

mkdir -p "$place/rootfs/bin" "$place/rootfs/etc" "$place/rootfs/tmp" "$place/rootfs/root"
cp "$(command -v busybox)" "$place/rootfs/bin/busybox"
busybox --list | while read -r name; do [ "$name" = busybox ] || ln "$place/rootfs/bin/busybox" "$place/rootfs/bin/$name"; done
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/bin/false\n' >"$place/rootfs/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$place/rootfs/etc/group"
chmod 1777 "$place/rootfs/tmp"
tar -C "$place/rootfs" --owner=0 --group=0 -cf "$place/root.tar" .

say "stave import -c 'CMD [\"sh\"]' root.tar demo/busybox"
"$stave" import -c 'ENV PATH=/usr/local/bin:/usr/bin:/bin' -c 'CMD ["sh"]' "$place/root.tar" demo/busybox
say stave build -t demo/hello scripts/demo
"$stave" build --progress=plain -t demo/hello --build-arg NAME=Debian "$here/demo"
say stave build -t demo/hello scripts/demo "  # again"
"$stave" build --progress=plain -t demo/hello --build-arg NAME=Debian "$here/demo" 2>&1 | grep -E 'CACHED|DONE' | tail -n 5
say stave images
"$stave" images
say stave save --format oci-archive -o hello.tar demo/hello
"$stave" save --format oci-archive -o "$place/hello.tar" demo/hello
ls -l "$place/hello.tar" | awk '{ print $5 " bytes" }'
say stave run --rm demo/hello
"$stave" run --rm demo/hello
