#!/bin/sh
# The command lifeboat. It becomes the Node that came with the package, else the one on PATH when it is new enough: as it
# is replaced rather than waits, every signal reaches the CLI, and reaches it once.
# In a checkout the sources run as they are; an installed package has only dist/.
needed=24
self=$0
while [ -L "$self" ]; do
  link=$(readlink "$self")
  case $link in /*) self=$link ;; *) self=$(dirname "$self")/$link ;; esac
done
folder=$(cd "$(dirname "$self")" && pwd -P)
# PostgreSQL runs this for every WAL file: no Node for it.
if [ "${1:-}" = wal-push ]; then
  shift
  helper=$folder/../dist/bin/lifeboat-wal-push-$(uname -m)
  [ -x "$helper" ] && exec "$helper" "$@"
  echo "lifeboat: $helper is not there; next: npm run build, with Go installed" >&2
  exit 1
fi
entry=$folder/cli.ts
[ -e "$entry" ] || entry=$folder/../dist/client/cli.js

for node in "$folder/../node_modules/node/bin/node" "$folder/../../node/bin/node"; do
  [ -x "$node" ] && exec "$node" "$entry" "$@"
done
found=$(node --version 2>/dev/null)
major=${found#v}
major=${major%%.*}
[ "${major:-0}" -ge "$needed" ] 2>/dev/null && exec node "$entry" "$@"
echo "lifeboat: the package node is not installed whole, and Node on PATH is ${found:-missing}, wanted $needed or later" >&2
echo '  next: npm rebuild node --ignore-scripts=false, or install Node 24' >&2
exit 1
