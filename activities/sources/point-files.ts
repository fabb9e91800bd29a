import type { Extracted, ExtractPlan, ExtractResult, ListedFile } from '../../workflows/model/contents.ts';
import type { PartialPlan } from '../../workflows/model/partial.ts';
import type { PointReader } from './source.ts';

/** A point and what it stands on. */
export interface Chained {
  reader: PointReader;
  /** Ids from the full point to that of the reader. */
  chain: readonly string[];
}

/** A database, and what it must have. */
export interface DatabaseWish {
  database: string;
  schema?: string;
  /** Each "name" or "schema.name". */
  tables: readonly string[];
}

/** One database of a point. */
export interface ChosenDatabase {
  partial: PartialPlan;
  /** Of the chain, in its order: what has to be fetched. */
  needs: { point: string; bytes: number; storedBytes: number }[];
}

/** Looking into a point, and taking single files out of it. Paths are those that ListedFile has. */
export interface PointFiles {
  /** Every file that a restore of the point would make; nothing is fetched. */
  list(from: Chained): Iterable<ListedFile>;
  /** Tells relations by the paths of their files; only what it takes to know names is fetched. */
  names(from: Chained): Promise<(path: string) => string | undefined>;
  /** What a restore of one database takes. NotFound, with the nearest name; only what it takes to know names is fetched. */
  choose(from: Chained, wish: DatabaseWish): Promise<ChosenDatabase>;
  /** Path of a file, or of the first one of a relation. NotFound, with the nearest name. */
  find(from: Chained, what: Extracted): Promise<string>;
  /** Precondition when an extraction would write over something. */
  checkTarget(to: string): Promise<void>;
  /** Fetches only the parts that it needs; the target appears whole, or not at all. A repeat has the same result. */
  extract(plan: ExtractPlan, from: Chained): Promise<ExtractResult>;
  /** Removes what `extract` has beside its target, however it ended. */
  discard(plan: ExtractPlan): Promise<void>;
}
