import type { ClusterFacts } from '../model/cluster.ts';
import type { ServiceFacts } from '../model/service.ts';
import type { Journal } from './journal.ts';
import type { Notices } from './notices.ts';

/** What the parts of a watch share. */
export interface Watching {
  cluster: ClusterFacts;
  service: ServiceFacts;
  journal: Journal;
  notices: Notices;
  concerns: Concerns;
  /** True while the primary is not well: what follows from that is not told beside it. */
  isTroubled(): boolean;
  /** The configuration is another one by now. */
  startAfresh(): void;
}

/** What a person should look at, of several parts that do not know of each other. */
export class Concerns {
  readonly #journal: Journal;
  readonly #said = new Map<string, string>();

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  /** Undefined: it is over. */
  set(part: string, text: string | undefined): void {
    if (text === undefined) this.#said.delete(part);
    else this.#said.set(part, text);
    this.#journal.attention([...this.#said.values()].join('; ') || undefined);
  }
}
