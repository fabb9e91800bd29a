import { fileURLToPath } from 'node:url';
import { waitFor } from '../../../workers/dev/demo/wait-for.ts';
import type { Stack, StackProcess } from '../../../workers/dev/stack/index.ts';
import type { SoakStore } from './store.ts';

const WORKER = fileURLToPath(new URL('../../../workers/main.ts', import.meta.url));
const HOST = 'here';

/** The product's worker, in a process of its own. */
export class WorkerControl {
  readonly #use: { stack: Stack; store: SoakStore; config: string; signal: AbortSignal };
  #process: StackProcess | undefined;
  #started = 0;
  /** Files that it had half written stay for a day: only what is newer is a leak. */
  killedAtMs = 0;

  constructor(use: { stack: Stack; store: SoakStore; config: string; signal: AbortSignal }) {
    this.#use = use;
  }

  get isRunning(): boolean {
    return this.#process !== undefined;
  }

  /** Resolves when it takes tasks. */
  async start(): Promise<void> {
    const { stack, store, config, signal } = this.#use;
    const args = [...store.nodeFlags, WORKER, config, HOST];
    const worker = stack.spawn(`worker-${++this.#started}`, process.execPath, args, { env: store.env });
    await waitFor({ file: worker.logFile, text: '"worker ready"', ended: worker.exited, signal });
    this.#process = worker;
  }

  async kill(): Promise<void> {
    this.#process?.kill('SIGKILL');
    await this.#process?.exited;
    this.#process = undefined;
    this.killedAtMs = Date.now();
  }

  /** As an operator ends it. Fails when it does not end well. */
  async drain(): Promise<void> {
    const worker = this.#process;
    if (!worker) return;
    worker.kill('SIGTERM');
    const { code, signal } = await worker.exited;
    this.#process = undefined;
    if (code !== 0) throw new Error(`worker told to end (SIGTERM) ended with ${code ?? signal}; see ${worker.logFile}`);
  }
}
