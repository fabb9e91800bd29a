import type { Confirmation, Traffic } from '../../../workflows/model/traffic.ts';
import type { Json, KubeObject } from './object.ts';

/** One object that a switch moves, as it was read. */
export interface Seen {
  object: KubeObject;
  json: Json;
}

/** What of Kubernetes stands for traffic, and how. */
export interface KubeWay {
  /** What `to` would be there; ConfigInvalid when it cannot be. */
  checkWish(to: Traffic): void;
  trafficOf(seen: readonly Seen[]): Traffic;
  /** Of each object what has to be changed, as a merge patch (RFC 7386); undefined: nothing. */
  changeOf(seen: Seen, to: Traffic): Json | undefined;
  confirm(seen: readonly Seen[], to: Traffic): Promise<Confirmation>;
}
