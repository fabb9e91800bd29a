import type { Stack } from '../../../workers/dev/stack/index.ts';
import { localStack } from '../../../workers/dev/stack/compose-file.ts';
import { startTemporal } from '../../../workers/dev/stack/temporal.ts';
import { ensureTools } from '../../../workers/dev/setup/index.ts';

/** Below the folder of the stack: what a killed server knows when it is back. */
export const TEMPORAL_FILE = 'temporal.db';

export class TemporalControl {
  readonly #stack: Stack;
  readonly #signal: AbortSignal;
  #server: { pid: number; exited: Promise<unknown> };

  constructor(stack: Stack, signal: AbortSignal) {
    this.#stack = stack;
    this.#signal = signal;
    this.#server = { pid: stack.temporal.pid, exited: stack.ended };
  }

  /** SIGKILL, then the same server on the same ports and the same file. */
  async restart(): Promise<void> {
    const { dir, temporal, spawn } = this.#stack;
    process.kill(this.#server.pid, 'SIGKILL');
    await this.#server.exited;
    const { temporal: program } = await ensureTools(['temporal'], { log: () => undefined });
    const portOf = (address: string): number => Number(address.split(':').at(-1));
    await startTemporal({
      ...{ program, plan: localStack().temporal, dir, dbFile: `${dir}/${TEMPORAL_FILE}` },
      ports: { grpc: portOf(temporal.address), ui: portOf(temporal.ui) },
      ...{ dynamicConfig: [], searchAttributes: true, stopSignal: 'KILL', signal: this.#signal },
      start: ({ name, command, args, env }) => {
        const started = spawn(name, command, args, { env });
        this.#server = { pid: started.pid, exited: started.exited };
        return started;
      },
    });
  }
}
