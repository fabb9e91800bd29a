/** How urgent a message is, as runbooks name it. */
export const PRIORITIES = ['P1', 'P2', 'P3', 'P4'] as const;
export type Priority = (typeof PRIORITIES)[number];

/** The same, as programs name it: the words of PagerDuty's Events API. */
export type Severity = 'critical' | 'error' | 'warning' | 'info';

const PRIORITY_OF: Record<Severity, Priority> = { critical: 'P1', error: 'P2', warning: 'P3', info: 'P4' };

export function priorityOf(severity: Severity): Priority {
  return PRIORITY_OF[severity];
}

/** When people are told, unless it is over or acknowledged by then: at once, 15 minutes, 1 hour, a day. */
export const USUAL_DELAY_MS: Record<Priority, number> = { P1: 0, P2: 900_000, P3: 3_600_000, P4: 86_400_000 };

/** Of what one notifier tells, and after which delay, milliseconds; what is absent it does not tell. */
export type Tells = Partial<Record<Priority, number>>;

/** What a kind of notifier tells when its configuration does not say. */
export interface UsualTells {
  priorities: readonly Priority[];
  /** Without the usual delays: a program hears it, and no person is woken. */
  atOnce?: true;
}

/** What a notifier tells: its own wishes before what its kind usually does. */
export function tellsOf(
  usual: UsualTells,
  { severities = usual.priorities, after = {} }: { severities?: readonly Priority[] | undefined; after?: Tells },
): Tells {
  const delayOf = (each: Priority): number => after[each] ?? (usual.atOnce ? 0 : USUAL_DELAY_MS[each]);
  return Object.fromEntries(severities.map((each) => [each, delayOf(each)]));
}
