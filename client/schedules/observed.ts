import type { ScheduleDescription } from '@temporalio/client';
import type { ScheduledOrder } from '../../workflows/model/orders.ts';
import { formatDuration } from '../../workflows/model/units.ts';
import type { Pause, ScheduleDefinition, When } from './definition.ts';
import { OWNER_MEMO, PAUSE_NOTE } from './definition.ts';
import { calendarKey, intervalKey } from './desired.ts';

type RawSpec = NonNullable<NonNullable<ScheduleDescription['raw']['schedule']>['spec']>;
type RawCalendar = NonNullable<RawSpec['structuredCalendar']>[number];
type RawRange = NonNullable<RawCalendar['minute']>[number];

/** A Schedule as the server has it, in the form of the desired ones. */
export function observedSchedule(description: ScheduleDescription): ScheduleDefinition {
  const { action, policies, memo } = description;
  const owner = action.memo?.[OWNER_MEMO] ?? memo?.[OWNER_MEMO];
  return {
    id: description.scheduleId,
    owner: typeof owner === 'string' ? owner : undefined,
    when: observedWhen(description.raw.schedule?.spec ?? {}),
    catchupWindowMs: policies.catchupWindow,
    overlap: policies.overlap ?? 'SKIP',
    workflow: action.workflowType,
    taskQueue: action.taskQueue,
    order: action.args?.[0] as ScheduledOrder | undefined,
    pause: pauseOf(description.state),
  };
}

function pauseOf(state: { paused: boolean; note?: string }): Pause {
  if (!state.paused) return 'no';
  return state.note === PAUSE_NOTE ? 'by configuration' : 'by a person';
}

/** One calendar or one interval has the key of its desired form; whatever else a person made of it has another one. */
function observedWhen(spec: RawSpec): When {
  const timezone = spec.timezoneName || 'UTC';
  const known = isPlain(spec) ? (calendarWhen(spec, timezone) ?? intervalWhen(spec)) : undefined;
  return known ?? { key: JSON.stringify(spec), text: 'changed by hand' };
}

function isPlain({ excludeStructuredCalendar, startTime, endTime, jitter }: RawSpec): boolean {
  return !excludeStructuredCalendar?.length && !startTime && !endTime && millis(jitter) === 0;
}

function calendarWhen({ structuredCalendar, interval }: RawSpec, timezone: string): When | undefined {
  const [calendar, ...more] = structuredCalendar ?? [];
  if (!calendar || more.length > 0 || interval?.length || !isDaily(calendar)) return undefined;
  const key = calendarKey(fieldsOf(calendar), timezone);
  return { key, text: calendar.comment || key };
}

function intervalWhen({ structuredCalendar, interval }: RawSpec): When | undefined {
  const [only, ...more] = interval ?? [];
  if (!only || more.length > 0 || structuredCalendar?.length || millis(only.phase) !== 0) return undefined;
  const everyMs = millis(only.interval);
  return { key: intervalKey(everyMs), text: `every ${formatDuration(everyMs)}` };
}

/** At second 0 of any year, as every cron expression is. */
function isDaily({ second, year }: RawCalendar): boolean {
  return (year ?? []).length === 0 && expand(second).join() === '0';
}

function fieldsOf(calendar: RawCalendar): Parameters<typeof calendarKey>[0] {
  const { minute, hour, dayOfMonth, month, dayOfWeek } = calendar;
  return {
    minute: expand(minute),
    hour: expand(hour),
    dayOfMonth: expand(dayOfMonth),
    month: expand(month),
    dayOfWeek: expand(dayOfWeek),
  };
}

/** An end below the start means the start alone, a step of 0 means 1 (temporal.api.schedule.v1.Range). */
function expand(ranges: readonly RawRange[] | null | undefined): number[] {
  const values = (ranges ?? []).flatMap(({ start, end, step }) => {
    const from = start ?? 0;
    const to = Math.max(end ?? 0, from);
    const by = Math.max(step ?? 0, 1);
    return Array.from({ length: Math.floor((to - from) / by) + 1 }, (_, index) => from + index * by);
  });
  return [...new Set(values)].sort((a, b) => a - b);
}

function millis(duration: { seconds?: unknown; nanos?: number | null } | null | undefined): number {
  return Number(duration?.seconds ?? 0) * 1000 + (duration?.nanos ?? 0) / 1e6;
}
