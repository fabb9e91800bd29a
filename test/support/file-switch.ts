import { readFile, rename, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Traffic } from '../../workflows/model/traffic.ts';
import type { SwitchFault } from './switch-contract.ts';

const SCRIPT = fileURLToPath(new URL('./switch-script.sh', import.meta.url));

/** A switch whose traffic stands in a file, moved by a script, as `switch-script.sh` describes it. */
export interface FileSwitch {
  /** Options of the kind "command". */
  options: Record<string, unknown>;
  state(): Promise<{ token: number; traffic: Traffic }>;
  set(token: number, traffic: Traffic): Promise<void>;
  fail(fault: SwitchFault): Promise<void>;
  /** Moves that changed it: "token from to". */
  log(): Promise<string[]>;
}

export async function fileSwitch(path: string, traffic: Traffic, timeout = '30s'): Promise<FileSwitch> {
  const set = async (token: number, at: Traffic): Promise<void> => {
    await writeFile(`${path}.set`, `${token} ${JSON.stringify(at)}\n`);
    await rename(`${path}.set`, path);
  };
  await set(0, traffic);
  return {
    options: { run: [SCRIPT, path], timeout, weighted: true },
    set,
    state: async () => {
      const [token = '', ...rest] = (await readFile(path, 'utf8')).trim().split(' ');
      return { token: Number(token), traffic: JSON.parse(rest.join(' ')) as Traffic };
    },
    fail: (fault) => writeFile(`${path}.fault`, fault),
    log: async () => (await readFile(`${path}.log`, 'utf8').catch(() => '')).split('\n').filter((line) => line !== ''),
  };
}
