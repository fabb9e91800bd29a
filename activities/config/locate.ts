import { resolve } from 'node:path';
import type { Environment } from './temporal.ts';

export const CONFIG_FILE = 'lifeboat.yml';

export interface FoundConfig {
  path: string;
  /** "--config", "environment LIFEBOAT_CONFIG", "working directory" */
  from: string;
}

/** `path` (of --config), else LIFEBOAT_CONFIG, else lifeboat.yml in the working directory. It need not exist. */
export function findConfig(path?: string, environment: Environment = process.env): FoundConfig {
  if (path !== undefined) return { path: resolve(path), from: '--config' };
  const variable = environment['LIFEBOAT_CONFIG'];
  if (variable) return { path: resolve(variable), from: 'environment LIFEBOAT_CONFIG' };
  return { path: resolve(CONFIG_FILE), from: 'working directory' };
}
