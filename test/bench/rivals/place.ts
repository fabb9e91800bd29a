import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { makeOwned, run } from '../../support/postgres.ts';
import type { PlaceKind } from './options.ts';
import { withS3 } from './s3-server.ts';

/** What one contestant stores to. */
export interface Spot {
  /** Where its bytes lie on this machine, whoever writes them. */
  folder: string;
  /** By https; absent: the folder itself is the store. */
  s3?: S3Access;
}

export interface S3Access {
  host: string;
  port: number;
  bucket: string;
  region: string;
  accessKey: string;
  secretKey: string;
  /** PEM of the certificate that vouches for it. */
  caFile: string;
}

/** A kind of store that all contestants use, each a spot of its own. */
export interface Place {
  spot(name: string): Promise<Spot>;
}

export function withPlace<T>(kind: PlaceKind, dir: string, use: (place: Place) => Promise<T>): Promise<T> {
  if (kind === 's3') return withS3(dir, use);
  const spot = async (name: string): Promise<Spot> => {
    const folder = join(dir, 'stores', name);
    await mkdir(join(dir, 'stores'), { recursive: true, mode: 0o755 });
    await makeOwned(folder);
    return { folder };
  };
  return use({ spot });
}

/** Of all files, as long as they say they are. */
export async function bytesIn(folder: string): Promise<number> {
  const sizes = 'find "$1" -type f -printf "%s\\n" | awk "{ sum += \\$1 } END { printf \\"%d\\", sum }"';
  return Number(await run('bash', ['-c', sizes, 'bash', folder]));
}
