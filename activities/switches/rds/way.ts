import type { RDSClient } from '@aws-sdk/client-rds';
import type { AwsCaller } from '../../io/aws/caller.ts';
import type { RdsOptions } from './options.ts';

/** What the control plane says of the writers. */
export interface RdsState {
  /** Site with the writer that the switch obeys; absent: none of its sites has one. */
  writer: string | undefined;
  token: number;
  /** Everything is available: nothing is under way. */
  settled: boolean;
  /** Each site in words: "dc1: writer, available". */
  sites: string[];
  note?: string;
  /** ARN of what carries the number. */
  tagged: string;
}

export interface RdsUse {
  name: string;
  options: RdsOptions;
  caller: AwsCaller;
  /** A client of that region. */
  client(region?: string): RDSClient;
}

/** One way in which RDS gives the writer to another site. */
export interface RdsWay {
  look(use: RdsUse): Promise<RdsState>;
  /** Returns when it was ordered; the state tells when it is done. Precondition where it cannot be done from here. */
  order(use: RdsUse, to: { site: string; token: number; state: RdsState }): Promise<void>;
}

const TOKEN_TAG = 'lifeboat-token';

export function tokenTag(token: number): { Key: string; Value: string } {
  return { Key: TOKEN_TAG, Value: String(token) };
}

/** 0 where no run has left a number. */
export function tokenIn(tags: readonly { Key?: string | undefined; Value?: string | undefined }[] | undefined): number {
  const value = tags?.find(({ Key }) => Key === TOKEN_TAG)?.Value ?? '';
  return /^\d{1,15}$/.test(value) ? Number(value) : 0;
}
