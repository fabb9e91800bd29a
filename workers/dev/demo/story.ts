import { formatDuration } from '../../../workflows/model/units.ts';
import type { ReportEvent, Tone } from '../../../workflows/model/report.ts';

/** What happened, as it is told on the terminal and later in the report. */
export class Story {
  readonly events: ReportEvent[] = [];
  readonly #startedMs = Date.now();
  readonly #tell: (line: string) => void;

  constructor(tell: (line: string) => void) {
    this.#tell = tell;
  }

  add(lane: string, what: string, tone: Tone = 'mark'): void {
    const at = new Date();
    this.events.push({ at: at.toISOString(), lane, what, tone });
    this.#tell(`${formatDuration(at.getTime() - this.#startedMs).padStart(8)}  ${lane.padEnd(9)} ${what}`);
  }
}
