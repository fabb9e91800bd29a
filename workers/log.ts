import { isoTime, systemClock } from '../activities/io/clock.ts';
import type { Log } from '../activities/io/run.ts';

type Level = 'debug' | 'info' | 'warn' | 'error';

/** One JSON object a line on stderr: what log collectors read. */
export function jsonLog(): Log {
  const write = (level: Level, message: string, fields?: Record<string, unknown>): void => {
    process.stderr.write(`${JSON.stringify({ at: isoTime(systemClock.nowMs()), level, message, ...fields })}\n`);
  };
  return {
    debug: () => undefined,
    info: (message, fields) => write('info', message, fields),
    warn: (message, fields) => write('warn', message, fields),
    error: (message, fields) => write('error', message, fields),
  };
}
