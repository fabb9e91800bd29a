/** Who has to agree, and until when. */
export interface ApprovalRule {
  /** How many of them. */
  of: number;
  /** Who may; empty: anybody. */
  from: string[];
  /** At least one of them is not who started the run. */
  byAnother: boolean;
  withinMs: number;
}

/** What holds where the configuration says nothing. */
export const USUAL_APPROVAL: Readonly<ApprovalRule> = { of: 1, from: [], byAnother: true, withinMs: 3_600_000 };

/** What the moves of a switch do, in words, by the configuration alone; no secrets. */
export interface MoveWords {
  /** What is moved, and where it stands: "db.example.org A at 10.0.0.53". */
  place: string;
  /** While traffic is stopped: "its clients wait". */
  stopped?: string;
  /** By site, when it has moved there: "6 tasks of web in shop". */
  up?: Readonly<Record<string, string>>;
  /** By site, when what overlaps is taken down there: "1 task of web in shop". */
  down?: Readonly<Record<string, string>>;
}

/** One switch of a service, as its workflow needs to know it; without words where a worker of before them has described it. */
export interface SwitchFacts extends Partial<MoveWords> {
  name: string;
  kind: string;
  /** It can give an address a share of the traffic. */
  weighted: boolean;
  /** It goes by the names of these sites; absent: by "host:port". */
  sites?: readonly string[];
  /** What it moves is at both sites for a while: up at the new one is one move, down at the old one another. */
  overlaps?: true;
  /** It cannot be stopped, or need not be: somebody always has what it moves. */
  stops?: false;
  /** Host whose worker has to move it; absent: any. */
  host?: string;
}

/** What a run needs to know of the service that a source belongs to; names and limits, no secrets. */
export interface ServiceFacts {
  service: string;
  source: string;
  /** In the order in which they are moved. */
  traffic: SwitchFacts[];
  /** Shares of the traffic, per cent, that a recovered cluster gets one after the other; the last is 100. */
  steps: number[];
  /** Addresses that a recovered cluster listens on. */
  listen: string;
  /** Host under which clients reach it. */
  address: string;
  approval: ApprovalRule;
  /** Names of the checks. */
  checks: string[];
}
