import { chmod, chown, rename, writeFile } from 'node:fs/promises';
import type { Host } from '../../../io/postgres/host.ts';

/** The new content whole or not at all, owned by the server's user. */
export async function replaceFile(
  path: string,
  host: Host,
  ...[content, mode = 0o600]: [string | Buffer, number?]
): Promise<void> {
  await writeFile(`${path}.new`, content, { mode });
  await chmod(`${path}.new`, mode);
  if (host.as) await chown(`${path}.new`, host.as.uid, host.as.gid);
  await rename(`${path}.new`, path);
}
