import type { Command } from 'commander';

/** Of every command that starts a run which may take long. */
export function addRunOptions(command: Command): void {
  command.option('--detach', 'start the run and come back at once');
}

/** A copy without the keys that were not given: an order holds no undefined. */
export function given<T extends Record<string, unknown>>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}

/** For an option that may be repeated. */
export function collect(value: string, before: string[]): string[] {
  return [...before, value];
}
