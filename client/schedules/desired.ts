import type { CalendarSpec, DayOfWeek, Month, ScheduleSpec } from '@temporalio/client';
import { DAYS_OF_WEEK, MONTHS } from '@temporalio/client';
import type { Config, CronFields, ScheduleConfig, ScheduleName } from '../../activities/config/index.ts';
import { parseCron, SCHEDULE_NAMES } from '../../activities/config/index.ts';
import { scheduleId, TASK_QUEUE } from '../../workflows/model/names.ts';
import type { ScheduledOrder } from '../../workflows/model/orders.ts';
import { formatDuration } from '../../workflows/model/units.ts';
import type { ScheduleDefinition, When } from './definition.ts';
import { catchupOf } from './definition.ts';

export interface Desired extends ScheduleDefinition {
  spec: ScheduleSpec;
}

/** Every Schedule that the configuration asks for, by id. */
export function desiredSchedules(config: Config): Desired[] {
  const ofSources = Object.entries(config.sources).flatMap(([source, { schedule }]) =>
    SCHEDULE_NAMES.flatMap((name) => {
      const at = schedule[name];
      return at ? [desired(config.name, { id: scheduleId(source, name), order: orderOf(source, name) }, at)] : [];
    }),
  );
  const ofServices = Object.entries(config.services).flatMap(([service, { cluster }]) => {
    const at = cluster?.drill.schedule;
    const order: ScheduledOrder = { workflow: 'failoverDrill', input: { service } };
    return at ? [desired(config.name, { id: scheduleId(service, 'failover-drill'), order }, at)] : [];
  });
  return [...ofSources, ...ofServices];
}

function desired(owner: string, { id, order }: Pick<Desired, 'id' | 'order'>, at: ScheduleConfig): Desired {
  return {
    id,
    owner,
    when: whenOf(at),
    catchupWindowMs: catchupOf('everyMs' in at ? at.everyMs : undefined),
    overlap: 'SKIP',
    workflow: 'scheduled',
    taskQueue: TASK_QUEUE,
    order,
    pause: at.paused === true ? 'by configuration' : 'no',
    spec: specOf(at),
  };
}

/** A backup is a full one unless its order says what else. */
function orderOf(source: string, name: ScheduleName): ScheduledOrder {
  if (name === 'verify') return { workflow: 'verifyAll', input: { source } };
  if (name === 'walVerify') return { workflow: 'verifyWal', input: { source } };
  if (name === 'drill' || name === 'backup' || name === 'retention') return { workflow: name, input: { source } };
  return { workflow: 'backup', input: { source, type: name } };
}

function whenOf(at: ScheduleConfig): When {
  if ('everyMs' in at) return { key: intervalKey(at.everyMs), text: `every ${formatDuration(at.everyMs)}` };
  return { key: calendarKey(parseCron(at.cron), at.timezone), text: `${at.cron} ${at.timezone}` };
}

export function intervalKey(everyMs: number): string {
  return `every ${everyMs}`;
}

export function calendarKey(fields: CronFields, timezone: string): string {
  const { minute, hour, dayOfMonth, month, dayOfWeek } = fields;
  return JSON.stringify({ minute, hour, dayOfMonth, month, dayOfWeek, timezone });
}

/** Calendars rather than a cron text: the server hands them back as they were, so that a difference can be seen. */
function specOf(at: ScheduleConfig): ScheduleSpec {
  if ('everyMs' in at) return { intervals: [{ every: at.everyMs }] };
  const fields = parseCron(at.cron);
  const calendar: CalendarSpec = {
    second: 0,
    minute: fields.minute,
    hour: fields.hour,
    dayOfMonth: fields.dayOfMonth,
    month: fields.month.map((number) => MONTHS[number - 1] as Month),
    dayOfWeek: fields.dayOfWeek.map((number) => DAYS_OF_WEEK[number] as DayOfWeek),
    comment: `${at.cron} ${at.timezone}`,
  };
  return { calendars: [calendar], timezone: at.timezone };
}
