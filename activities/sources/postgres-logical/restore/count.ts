import type { PartRef } from '../../../../workflows/model/manifest.ts';
import type { FetchEvidence } from '../../../../workflows/model/recovery.ts';
import type { Run } from '../../../io/run.ts';

/** What was read of a point. */
export class FetchCount {
  readonly #run: Run;
  readonly #totalBytes: number;
  #parts = 0;
  #bytes = 0;
  #storedBytes = 0;

  constructor(run: Run, totalBytes: number) {
    this.#run = run;
    this.#totalBytes = totalBytes;
  }

  add(part: PartRef | undefined, bytes: number): void {
    this.#parts += 1;
    this.#bytes += bytes;
    this.#storedBytes += part?.storedBytes ?? 0;
    this.#run.progress({ phase: 'restore', doneBytes: this.#bytes, totalBytes: this.#totalBytes });
  }

  evidence({ files, resumed }: { files: number; resumed: number }): FetchEvidence {
    const [parts, bytes, storedBytes] = [this.#parts, this.#bytes, this.#storedBytes];
    return { ...{ parts, bytes, storedBytes, files }, resumedParts: resumed };
  }
}
