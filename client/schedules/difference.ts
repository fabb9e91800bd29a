import { failure } from '../../workflows/model/failure.ts';
import { formatDuration } from '../../workflows/model/units.ts';
import type { ScheduleDefinition } from './definition.ts';
import { PREFIX } from './definition.ts';

export interface Change {
  field: string;
  from: string;
  to: string;
}

/** What `apply` does with one Schedule. */
export type Step<Wanted extends ScheduleDefinition = ScheduleDefinition> =
  | { do: 'create'; id: string; wanted: Wanted }
  | { do: 'update'; id: string; wanted: Wanted; changes: Change[] }
  | { do: 'delete'; id: string }
  | { do: 'keep'; id: string };

export interface Difference<Wanted extends ScheduleDefinition> {
  /** Name of the configuration that is applied. */
  owner: string;
  wanted: readonly Wanted[];
  observed: readonly ScheduleDefinition[];
  /** Take over Schedules of the same id that belong to another configuration. */
  adopt: boolean;
}

/**
 * What makes the observed Schedules the wanted ones, by id. Only Schedules of this configuration are deleted; one of
 * another that has a wanted id is a Precondition failure unless it is to be adopted. A person's pause is no difference.
 */
export function difference<Wanted extends ScheduleDefinition>(input: Difference<Wanted>): Step<Wanted>[] {
  const found = new Map(input.observed.map((schedule) => [schedule.id, schedule]));
  const ids = new Set(input.wanted.map((schedule) => schedule.id));
  const gone = input.observed.filter(({ id, owner }) => id.startsWith(PREFIX) && owner === input.owner && !ids.has(id));
  const steps: Step<Wanted>[] = [
    ...input.wanted.map((wanted) => stepFor(wanted, found.get(wanted.id), input.adopt)),
    ...gone.map(({ id }): Step<Wanted> => ({ do: 'delete', id })),
  ];
  return steps.sort((a, b) => (a.id < b.id ? -1 : 1));
}

function stepFor<Wanted extends ScheduleDefinition>(
  wanted: Wanted,
  observed: ScheduleDefinition | undefined,
  adopt: boolean,
): Step<Wanted> {
  const { id } = wanted;
  if (!observed) return { do: 'create', id, wanted };
  if (observed.owner !== wanted.owner && !adopt) throw foreign(wanted, observed);
  const changes = changesOf(wanted, observed);
  return changes.length === 0 ? { do: 'keep', id } : { do: 'update', id, wanted, changes };
}

function foreign(wanted: ScheduleDefinition, observed: ScheduleDefinition): Error {
  return failure('Precondition', `schedule ${wanted.id} belongs to another configuration`, {
    place: wanted.id,
    expected: `configuration ${wanted.owner}`,
    found: observed.owner === undefined ? 'no mark of ours' : `configuration ${observed.owner}`,
    hint: 'rename the source, use another namespace, or take it over: lifeboat apply --adopt',
  });
}

function changesOf(wanted: ScheduleDefinition, observed: ScheduleDefinition): Change[] {
  const change = (field: string, from: string, to: string): Change[] => (from === to ? [] : [{ field, from, to }]);
  const when =
    wanted.when.key === observed.when.key ? [] : [{ field: 'when', from: observed.when.text, to: wanted.when.text }];
  return [
    ...when,
    ...change('catchupWindow', formatDuration(observed.catchupWindowMs), formatDuration(wanted.catchupWindowMs)),
    ...change('overlap', observed.overlap, wanted.overlap),
    ...change('workflow', observed.workflow, wanted.workflow),
    ...change('taskQueue', observed.taskQueue, wanted.taskQueue),
    ...change('order', JSON.stringify(observed.order) ?? 'none', JSON.stringify(wanted.order) ?? 'none'),
    ...change('owner', observed.owner ?? 'none', wanted.owner ?? 'none'),
    ...(observed.pause === 'by a person' ? [] : change('paused', observed.pause, wanted.pause)),
  ];
}
