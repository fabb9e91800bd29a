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

# For restore_command, PostgreSQL takes 1 to 125 for "there is no such file", which may be where it ends its recovery: only
# an answer of the vault may look so (44), never a Node that does not start. Above 125 the server stops (manual 26.3.5).
# With standby.signal the server takes no number below 126 for an end, and those above would still stop it: it is to go on with
# its primary, and ask again. 130 and 143 are how its own shutdown ends us.
could_not_ask=254
for word in "$@"; do
  [ "$word" = --standby ] && could_not_ask=1
done
become() {
  [ "$verb" = wal-fetch ] || exec "$@"
  "$@"
  code=$?
  case $code in 0) exit 0 ;; 44) exit 1 ;; esac
  case $code in 130 | 143) exit $code ;; esac
  [ $code -gt 125 ] && [ $could_not_ask = 254 ] && exit $code
  exit $could_not_ask
}

# A worker on this host gives a file at once, where it listens and has it; "the vault does not have it" is its word as well.
# Whatever else it says, or does not, is found out below, in the way that needs no worker.
ask_agent() {
  source=${2:-} file=${3:-} path=${4:-}
  [ $# -gt 4 ] || return 0
  for word in "$source" "$file" "$path"; do
    case $word in -*) return 0 ;; esac
  done
  shift 4
  socket='' place=plain
  while [ $# -gt 0 ]; do
    case $1 in
    --agent)
      [ $# -gt 1 ] || return 0
      socket=$2
      shift
      ;;
    --agent=*) socket=${1#--agent=} ;;
    --keep-inside) place=inside ;;
    --system*) return 0 ;;
    esac
    shift
  done
  helper=$folder/../dist/bin/lifeboat-wal-push-$(uname -m)
  [ -n "$socket" ] && [ -x "$helper" ] || return 0
  "$helper" --fetch "$socket" "$source" "$file" "$path" "$place"
  code=$?
  case $code in 0) exit 0 ;; 44) exit 1 ;; 130 | 143) exit $code ;; esac
}

verb=${1:-}
[ "$verb" = wal-fetch ] && ask_agent "$@"
for node in "$folder/../node_modules/node/bin/node" "$folder/../../node/bin/node"; do
  [ -x "$node" ] && become "$node" "$entry" "$@"
done
found=$(node --version 2>/dev/null)
major=${found#v}
major=${major%%.*}
[ "${major:-0}" -ge "$needed" ] 2>/dev/null && become node "$entry" "$@"
echo "lifeboat: the package node is not installed whole, and Node on PATH is ${found:-missing}, wanted $needed or later" >&2
echo '  next: npm rebuild node --ignore-scripts=false, or install Node 24' >&2
[ "$verb" = wal-fetch ] && exit $could_not_ask
exit 1
