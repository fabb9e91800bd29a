import type { Command } from 'commander';
import type { Host } from './environment.ts';
import type { Output } from './output.ts';

/** What a command answers. In text mode `lines` are shown; with `--json` it is `data` beside `ok` and `exitCode`. */
export interface Outcome {
  data?: Record<string, unknown>;
  lines?: readonly string[];
  /** Default 0. */
  exitCode?: number;
}

/** One call of one command. */
export interface Call {
  readonly host: Host;
  readonly out: Output;
  /** Positional arguments; an optional one that was not given is undefined. */
  readonly args: readonly (string | undefined)[];
  readonly options: Readonly<Record<string, unknown>>;
  /** Value of --config. */
  readonly configPath: string | undefined;
}

export type Handler = (call: Call) => Promise<Outcome>;

/** What a file in commands/ exports. It loads nothing heavy before its handler runs, so that --help is quick. */
export interface VerbModule {
  /** Arguments, options and help of the command; returns what it does. */
  define(command: Command): Handler;
}

export interface Verb {
  /** "backup", or "config check" for a command below another one. */
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<VerbModule>;
}

/** "Examples:" at the end of a command's help. Every command has at least one. */
export function addExamples(command: Command, examples: readonly (readonly [command: string, what: string])[]): void {
  const lines = examples.map(([text, what]) => `  $ ${text}\n      ${what}`);
  command.addHelpText('after', ['', 'Examples:', ...lines].join('\n'));
}
