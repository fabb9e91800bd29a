import { failure } from '../../workflows/model/failure.ts';
import type { Manifest, PartRef } from '../../workflows/model/manifest.ts';
import type { PartFill, PartQuestion } from '../sources/part-sink.ts';
import type { BackupFacts } from '../sources/source.ts';
import type { Encoded, Kek } from './codec/job.ts';
import { encodeWith, fillWith } from './context.ts';
import type { VaultContext } from './context.ts';
import { MANIFEST_FORMAT } from './manifest/schema.ts';
import { writeDraft } from './manifest/store.ts';
import { partArtefact } from './points.ts';
import type { PointDraft } from './vault.ts';

/** Fails now, before the source is asked for a byte, when no key can be had or the name is taken. */
export async function beginPoint(vault: VaultContext, point: string): Promise<PointDraft> {
  // One key for the whole point, even across the end of a month: a scope is shredded whole.
  const kek = await vault.keks.current();
  if (await vault.store.stat(vault.layout.manifest(point))) throw taken(vault, point);
  return new Draft(vault, point, kek);
}

class Draft implements PointDraft {
  readonly partBytes: number;
  readonly parallel: number;
  readonly #vault: VaultContext;
  readonly #point: string;
  readonly #kek: Kek;
  readonly #stored = new Map<number, PartRef>();
  readonly #flying = new Map<number, Promise<PartRef>>();
  #waiting: (() => void)[] = [];
  #closed = false;

  constructor(vault: VaultContext, point: string, kek: Kek) {
    this.partBytes = vault.options.partBytes;
    this.parallel = vault.options.parallel;
    this.#vault = vault;
    this.#point = point;
    this.#kek = kek;
  }

  write(number: number, plaintext: Buffer): Promise<PartRef> {
    const { length } = plaintext;
    return this.#inTurn(number, async () => {
      const artefact = partArtefact(this.#point, number);
      const encoded = await encodeWith(this.#vault, { bytes: plaintext, artefact, kek: this.#kek, transfer: true });
      return this.#put(number, encoded, length);
    });
  }

  async fill<Said>(number: number, fill: PartFill): Promise<{ part: PartRef; said: Said }> {
    let said: unknown;
    const part = await this.#inTurn(number, async () => {
      const artefact = partArtefact(this.#point, number);
      const encoded = await fillWith(this.#vault, { fill, artefact, kek: this.#kek });
      said = encoded.said;
      return this.#put(number, encoded, encoded.plainBytes);
    });
    return { part, said: said as Said };
  }

  async ask<Said>(question: PartQuestion): Promise<Said> {
    return (await this.#vault.codec.ask(question)) as Said;
  }

  async #put(number: number, { bytes, sha256 }: Encoded, plainBytes: number): Promise<PartRef> {
    await this.#vault.store.put(this.#vault.layout.part(this.#point, number), bytes);
    return { number, bytes: plainBytes, storedBytes: bytes.length, sha256 };
  }

  /** As many parts at once as memory is meant for, each number once. */
  async #inTurn(number: number, store: () => Promise<PartRef>): Promise<PartRef> {
    while (this.#flying.size >= this.parallel) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (this.#closed) throw this.#bug(`part ${number} came after the end`);
    if (this.#stored.has(number) || this.#flying.has(number)) throw this.#bug(`part ${number} came twice`);
    const storing = store();
    this.#flying.set(number, storing);
    try {
      const part = await storing;
      this.#stored.set(number, part);
      return part;
    } finally {
      this.#flying.delete(number);
      for (const wake of this.#waiting.splice(0)) wake();
    }
  }

  async finish(facts: BackupFacts): Promise<Manifest> {
    if (this.#closed || this.#flying.size > 0) throw this.#bug(`${this.#flying.size} parts are not written yet`);
    this.#checkParts(facts.parts);
    const { source, tool } = this.#vault.options;
    const manifest: Manifest = { format: MANIFEST_FORMAT, point: this.#point, source, kind: 'full', tool, ...facts };
    await writeDraft(this.#vault, manifest, this.#kek);
    this.#closed = true;
    return manifest;
  }

  /** Parts in flight do not outlive the attempt that wrote them. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    while (this.#flying.size > 0) await Promise.allSettled(this.#flying.values());
  }

  /** The manifest vouches for what this draft stored, and nothing else. */
  #checkParts(parts: PartRef[]): void {
    const same = (part: PartRef): boolean => this.#stored.get(part.number)?.sha256 === part.sha256;
    const stranger = parts.find((part) => !same(part));
    if (stranger) throw this.#bug(`part ${stranger.number} is listed and was not written so`);
    if (parts.length !== this.#stored.size) {
      throw this.#bug(`${this.#stored.size} parts were written and ${parts.length} are listed`);
    }
  }

  #bug(what: string): Error {
    return failure('Bug', `draft of ${this.#point}: ${what}`, { place: this.#point });
  }
}

function taken(vault: VaultContext, point: string): Error {
  return failure('Precondition', `point ${point} exists`, {
    place: vault.layout.manifest(point),
    expected: 'a name that was never used',
    found: 'a published or withdrawn point',
    hint: `lifeboat list ${vault.options.source}`,
  });
}
