import type { RunProgress } from '../../../workflows/messages.ts';
import type { Gap } from '../../../workers/dev/demo/pair/load.ts';

/** What an outage goes by: noticed, decided, the old primary kept from serving, the new one promoted, looked at, clients sent there. */
export const PHASES = ['detect', 'decide', 'fence', 'promote', 'verify', 'traffic'] as const;
export type Phase = (typeof PHASES)[number];
export type PhaseMs = Record<Phase, number>;

/** By the beginning of what a run calls its steps; whatever it says between two steps belongs to the first of them. */
const STEPS: readonly (readonly [RegExp, Phase])[] = [
  [/^look at |^wait for approval|^say what will be lost|^bring up /, 'decide'],
  [/^stop the traffic|^send the traffic/, 'traffic'],
  [/^quiesce |^stop |^freeze |^fence /, 'fence'],
  [/^prove that |^write a marker /, 'verify'],
  [/^promote /, 'promote'],
];

/** All of an outage, divided: what lies before the run is noticing, and behind its last step clients find their way. */
export function divide({ fromMs, toMs }: Gap, { startedAt, timeline }: RunProgress): PhaseMs {
  const sums: PhaseMs = { detect: 0, decide: 0, fence: 0, promote: 0, verify: 0, traffic: 0 };
  let [phase, sinceMs]: [Phase, number] = ['detect', fromMs];
  const next = (to: Phase, atMs: number): void => {
    const untilMs = Math.min(Math.max(atMs, sinceMs), toMs);
    sums[phase] += untilMs - sinceMs;
    [phase, sinceMs] = [to, untilMs];
  };
  next('decide', Date.parse(startedAt));
  for (const { at, what } of timeline) {
    const step = STEPS.find(([form]) => form.test(what));
    if (step) next(step[1], Date.parse(at));
  }
  next(phase, toMs);
  return sums;
}
