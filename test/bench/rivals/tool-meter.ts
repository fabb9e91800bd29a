import { readdir, readFile, readlink } from 'node:fs/promises';
import { cpuOf, peakRssBytesOf, statFields } from '../measured.ts';

const POLL_MS = 50;
/** Looked at so often, a process has become what it was started for. */
const LOOKS = 3;

export interface Metered {
  /** Of processes that went on by themselves; those the server waited for are in the server's account. */
  detachedCpuSeconds: number;
  /** Of all of them together. */
  peakRssBytes: number;
}

/**
 * Counts what the processes of one program take, whoever started them: the server's archiver and recovery start them, and some
 * leave processes behind that nobody waits for. Looks twenty times a second, so that the last moments of each are missed.
 */
export class ToolMeter {
  readonly #program: string;
  readonly #others = new Map<number, number>();
  readonly #detached = new Map<number, number>();
  #peakRssBytes = 0;
  #looking: Promise<void> = Promise.resolve();
  readonly #timer: NodeJS.Timeout;

  constructor(program: string) {
    this.#program = program;
    this.#timer = setInterval(() => {
      this.#looking = this.#looking.then(() => this.#look());
    }, POLL_MS);
  }

  async end(): Promise<Metered> {
    clearInterval(this.#timer);
    await this.#looking;
    const detachedCpuSeconds = [...this.#detached.values()].reduce((sum, seconds) => sum + seconds, 0);
    return { detachedCpuSeconds, peakRssBytes: this.#peakRssBytes };
  }

  async #look(): Promise<void> {
    const names = await readdir('/proc');
    const found = await Promise.all(names.filter((name) => /^\d+$/.test(name)).map((name) => this.#note(Number(name))));
    this.#peakRssBytes = Math.max(
      this.#peakRssBytes,
      found.reduce((sum, bytes) => sum + bytes, 0),
    );
  }

  /** Its memory; nothing of other programs. */
  async #note(pid: number): Promise<number> {
    const looked = this.#others.get(pid) ?? 0;
    if (looked >= LOOKS) return 0;
    if ((await programOf(pid)) !== this.#program) {
      this.#others.set(pid, looked + 1);
      return 0;
    }
    if (this.#detached.has(pid) || !(await isWaitedFor(pid))) {
      const { ownSeconds } = await cpuOf(pid);
      this.#detached.set(pid, Math.max(ownSeconds, this.#detached.get(pid) ?? 0));
    }
    return peakRssBytesOf(pid);
  }
}

async function programOf(pid: number): Promise<string> {
  return readlink(`/proc/${pid}/exe`).catch(() => '');
}

/** By the server, or by the shell that it starts. */
async function isWaitedFor(pid: number): Promise<boolean> {
  const parent = statFields(await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ''))[1];
  const name = await readFile(`/proc/${parent}/comm`, 'utf8').catch(() => '');
  return ['postgres', 'sh', 'bash', 'dash'].includes(name.trim());
}
