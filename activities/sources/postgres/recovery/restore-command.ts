/** How long the server waits for a segment before it gives up with "could not ask": a worker may be away that long. */
const WAIT_SECONDS = 3600;

/**
 * The program PostgreSQL runs for each WAL file it wants (manual 26.3.5): no interpreter start but sh. It takes the file
 * from the spool by rename, or asks for it and waits. Exit 0: in place. 1: the vault was asked and does not have it.
 * 254: could not ask; above 125 the server stops instead of taking the end of WAL for reached.
 */
export function restoreCommandScript(spool: string): string {
  const quoted = `'${spool.replaceAll("'", "'\\''")}'`;
  return `#!/bin/sh
spool=${quoted}
take() { mv "$spool/ready/$1" "$2" 2>/dev/null; }
take "$1" "$2" && exit 0
rm -f "$spool/absent/$1"
: >"$spool/want/$1" || exit 254
tries=0
while [ $tries -lt ${WAIT_SECONDS * 50} ]; do
  if take "$1" "$2"; then rm -f "$spool/want/$1"; exit 0; fi
  if [ -e "$spool/absent/$1" ]; then rm -f "$spool/absent/$1" "$spool/want/$1"; exit 1; fi
  tries=$((tries + 1))
  sleep 0.02 || exit 254
done
exit 254
`;
}
