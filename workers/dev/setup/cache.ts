import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * Where tools are kept between runs, outside of the repository. For root it is a folder that other users can read:
 * servers run as an unprivileged user.
 */
export function cacheFolder(): string {
  const { LIFEBOAT_CACHE, XDG_CACHE_HOME } = process.env;
  if (LIFEBOAT_CACHE) return LIFEBOAT_CACHE;
  if (process.getuid?.() === 0) return '/var/cache/lifeboat';
  return join(XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'lifeboat');
}
