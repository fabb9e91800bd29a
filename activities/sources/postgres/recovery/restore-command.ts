/**
 * The same program once nobody serves the spool any more: the server has in its own pg_wal what it replayed, and needs
 * from us only to know which timelines exist, so that it takes a number of its own when it is promoted.
 */
export function detachedCommandScript(histories: string): string {
  return `#!/bin/sh
file=${quote(histories)}/"$1"
[ -e "$file" ] || exit 1
cp "$file" "$2" || exit 254
`;
}

/** For a standby that has another command by now: what is called by an earlier one is told to ask again. */
export const ASK_AGAIN_SCRIPT = `#!/bin/sh
exit 1
`;

function quote(path: string): string {
  return `'${path.replaceAll("'", "'\\''")}'`;
}

/** How long the server waits for a segment before it gives up with "could not ask": a worker may be away that long. */
const WAIT_SECONDS = 3600;

/**
 * The program PostgreSQL runs for each WAL file it wants (manual 26.3.5): no interpreter start but sh. It takes the file
 * from the spool by rename, or asks for it and waits. Exit 0: in place. 1: the vault was asked and does not have it.
 * 254: could not ask; above 125 the server stops instead of taking the end of WAL for reached. A standby never takes 1 for it,
 * and stops for good above 125, too: it is told 1, and asks again.
 */
export function restoreCommandScript(spool: string, use: { isStandby: boolean }): string {
  const unasked = use.isStandby ? 1 : 254;
  return `#!/bin/sh
spool=${quote(spool)}
take() { mv "$spool/ready/$1" "$2" 2>/dev/null; }
take "$1" "$2" && exit 0
rm -f "$spool/absent/$1"
# "true", because a shell that cannot redirect a special builtin like ":" ends at once with 2, which means "not there".
true >"$spool/want/$1" || exit ${unasked}
# Left behind by a server that was killed we would keep its memory, and so the next server, from coming up.
{ read -r server <postmaster.pid; } 2>/dev/null
alive=/proc/$server/cwd
[ -n "$server" ] && [ -e /proc/self/cwd ] || alive=/
tries=0
while [ $tries -lt ${WAIT_SECONDS * 50} ]; do
  if take "$1" "$2"; then rm -f "$spool/want/$1"; exit 0; fi
  if [ -e "$spool/absent/$1" ]; then rm -f "$spool/absent/$1" "$spool/want/$1"; exit 1; fi
  [ -e "$alive" ] || exit 254
  # An answer to an earlier request of this name may have taken this one away with it.
  [ -e "$spool/want/$1" ] || true >"$spool/want/$1" || exit ${unasked}
  tries=$((tries + 1))
  sleep 0.02 || exit ${unasked}
done
exit ${unasked}
`;
}
