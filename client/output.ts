import type { Host } from './environment.ts';
import type { ProgressView } from './progress-bar.ts';
import { fitted, progressLine, RateMeter } from './progress-bar.ts';

/** Plain lines come at most this often while nothing but bytes changes. */
const PLAIN_EVERY_MS = 10_000;
const CLEAR_LINE = '\r\u001b[2K';

/**
 * Answers go to stdout, progress and remarks to stderr, so that a pipe gets the answer alone. With `--json` the answer
 * is exactly one JSON object, the last line of stdout, for errors too.
 */
export class Output {
  readonly json: boolean;
  readonly #host: Host;
  readonly #meter = new RateMeter();
  #bar = false;
  #lastPlain = { step: '', atMs: Number.NEGATIVE_INFINITY };

  constructor(host: Host, json: boolean) {
    this.#host = host;
    this.json = json;
  }

  /** A part of the answer. */
  line(text: string): void {
    this.#clearBar();
    this.#host.stdout.write(`${text}\n`);
  }

  object(value: Record<string, unknown>): void {
    this.#clearBar();
    this.#host.stdout.write(`${JSON.stringify(value)}\n`);
  }

  /** What happens meanwhile; not part of the answer. */
  remark(text: string): void {
    this.#clearBar();
    this.#host.stderr.write(`${text}\n`);
  }

  /**
   * May be called as often as one likes: a terminal gets one moving line, anything else a line now and then, or none for
   * what is over in a moment.
   */
  progress(view: ProgressView, { isBrief = false } = {}): void {
    const atMs = this.#host.nowMs();
    if (view.doneBytes !== undefined) this.#meter.add(view.step, atMs, view.doneBytes);
    const line = progressLine(view, view.doneBytes === undefined ? undefined : this.#meter.bytesPerSecond());
    const { stderr } = this.#host;
    if (stderr.isTTY === true && !this.json) {
      stderr.write(CLEAR_LINE + fitted(line, (stderr.columns ?? 80) - 1));
      this.#bar = true;
    } else if (!isBrief) {
      this.#plain(view, { line, atMs });
    }
  }

  /** A line for a new step, for the first bytes of it, and now and then. */
  #plain(view: ProgressView, { line, atMs }: { line: string; atMs: number }): void {
    const step = view.doneBytes === undefined ? view.step : `${view.step} with bytes`;
    if (step === this.#lastPlain.step && atMs - this.#lastPlain.atMs < PLAIN_EVERY_MS) return;
    this.#lastPlain = { step, atMs };
    this.remark(line);
  }

  #clearBar(): void {
    if (this.#bar) this.#host.stderr.write(CLEAR_LINE);
    this.#bar = false;
  }
}
