import type { CommanderError } from 'commander';
import { Command, CommanderError as CommanderErrorClass } from 'commander';
import type { Host } from './environment.ts';
import { exitCodeOf } from './exit-codes.ts';
import type { FailureReport } from './failure-report.ts';
import { failureJson, failureLines, reportOf } from './failure-report.ts';
import { Output } from './output.ts';
import { Stop } from './stop.ts';
import type { Call, Handler, Outcome, Verb } from './verb.ts';
import { VERBS } from './verbs.ts';
import { toolVersion } from '../activities/config/version.ts';

/** Runs one command line (without "node lifeboat") and returns the exit code. Never throws. */
export async function runCli(given: readonly string[], host: Host): Promise<number> {
  const words = normalised(given);
  const out = new Output(host, flags(words).includes('--json'));
  try {
    const program = await buildProgram(words, { host, out });
    const chosen: { outcome: Outcome } = { outcome: {} };
    program.onOutcome((outcome) => (chosen.outcome = outcome));
    await program.command.parseAsync([...words], { from: 'user' });
    return finish(chosen.outcome, out);
  } catch (error) {
    return fail(error, { words, out });
  }
}

function finish({ data = {}, lines = [], exitCode = 0 }: Outcome, out: Output): number {
  if (out.json) out.object({ ok: exitCode === 0, ...data, exitCode });
  else for (const line of lines) out.line(line);
  return exitCode;
}

function fail(error: unknown, { words, out }: { words: readonly string[]; out: Output }): number {
  const fromParser = error instanceof CommanderErrorClass ? error : undefined;
  if (fromParser?.exitCode === 0) return 0;
  // A bare "lifeboat" or "lifeboat config": the help that was printed is the message.
  if (fromParser?.code === 'commander.help' && !out.json) return exitCodeOf('Usage');
  const report = reportOf(fromParser ? usage(fromParser, words) : error);
  if (out.json) out.object(failureJson(report));
  else tell(report, error, out);
  return report.exitCode;
}

function tell(report: FailureReport, error: unknown, out: Output): void {
  for (const line of failureLines(report)) out.remark(line);
  if (report.type !== 'Unexpected' || !(error instanceof Error)) return;
  for (const line of (error.stack ?? '').split('\n').filter((each) => /^ +at /.test(each))) out.remark(line);
}

function usage(error: CommanderError, words: readonly string[]): Stop {
  const verb = chosenVerb(words);
  const text = error.code === 'commander.help' ? 'no command was given' : error.message;
  const message = text.replace(/^error: /, '').replace(/\s*\n\s*/g, ' ');
  return new Stop('Usage', message, { hint: `lifeboat${verb ? ` ${verb.name}` : ''} --help` });
}

interface Surroundings {
  host: Host;
  out: Output;
}

interface Program {
  command: Command;
  onOutcome(listener: (outcome: Outcome) => void): void;
}

/** Only the chosen command is loaded; the others are names and summaries for the help. */
async function buildProgram(words: readonly string[], surroundings: Surroundings): Promise<Program> {
  let listener = (_: Outcome): void => {};
  const root = quiet(new Command('lifeboat'), surroundings)
    .description('Backup, point-in-time recovery and proof of PostgreSQL as durable Temporal workflows.')
    .usage('COMMAND [options]')
    .version(toolVersion(), '--version')
    .addHelpText('after', '\nExamples:\n  $ lifeboat backup shop --help\n      what a command takes, with examples');
  const groups = new Map<string, Command>([['', root]]);
  const chosen = chosenVerb(words);
  for (const verb of VERBS) {
    const command = childCommand(verb, groups, surroundings);
    if (verb === chosen) await define(command, verb, { ...surroundings, done: (outcome) => listener(outcome) });
  }
  return { command: root, onOutcome: (next) => (listener = next) };
}

function childCommand(verb: Verb, groups: Map<string, Command>, surroundings: Surroundings): Command {
  const [group, name] = verb.name.includes(' ') ? verb.name.split(' ') : ['', verb.name];
  let parent = groups.get(group ?? '');
  if (!parent) {
    parent = quiet(new Command(group).description(groupSummary(group ?? '')), surroundings);
    groups.get('')?.addCommand(parent);
    groups.set(group ?? '', parent);
  }
  // What commands stand below may be a command itself.
  const known = group === '' ? groups.get(name ?? '') : undefined;
  const command = known ?? quiet(new Command(name), surroundings);
  if (!known) parent.addCommand(command);
  return command.summary(verb.summary).description(sentence(verb.summary));
}

async function define(
  command: Command,
  verb: Verb,
  { host, out, done }: Surroundings & { done: (outcome: Outcome) => void },
): Promise<void> {
  const handler: Handler = (await verb.load()).define(command);
  command
    .option('--config <file>', 'lifeboat.yml to use (default: LIFEBOAT_CONFIG, else the working directory)')
    .option('--json', 'one JSON object as the last line');
  command.action(async (...given: unknown[]) => {
    const options = command.opts<Record<string, unknown>>();
    const args = given.slice(0, -2) as (string | undefined)[];
    const call: Call = { host, out, args, options, configPath: options['config'] as string | undefined };
    done(await handler(call));
  });
}

/** Commander neither prints errors nor ends the process: that is done in one place. */
function quiet(command: Command, { host, out }: Surroundings): Command {
  return command.exitOverride().configureOutput({
    writeOut: (text) => host.stdout.write(text),
    writeErr: (text) => (out.json ? undefined : host.stderr.write(text)),
    outputError: () => undefined,
  });
}

/** "help backup" is "backup --help"; --json and --config may stand before the command, too. */
function normalised(words: readonly string[]): string[] {
  if (words[0] === 'help') return [...words.slice(1), '--help'];
  const leading = words[0] === '--json' || words[0]?.startsWith('--config=') ? 1 : words[0] === '--config' ? 2 : 0;
  if (leading === 0 || words.length <= leading) return [...words];
  const rest = normalised(words.slice(leading));
  const end = rest.indexOf('--');
  return [
    ...rest.slice(0, end < 0 ? rest.length : end),
    ...words.slice(0, leading),
    ...(end < 0 ? [] : rest.slice(end)),
  ];
}

function chosenVerb(words: readonly string[]): Verb | undefined {
  const named = words.filter((word) => !word.startsWith('-'));
  return VERBS.find((verb) => verb.name === named[0] || verb.name === `${named[0]} ${named[1]}`);
}

/** What stands before "--" and begins with a dash. */
function flags(words: readonly string[]): string[] {
  const end = words.indexOf('--');
  return words.slice(0, end < 0 ? words.length : end).filter((word) => word.startsWith('-'));
}

function groupSummary(group: string): string {
  const below = VERBS.filter((verb) => verb.name.startsWith(`${group} `)).map((verb) => verb.name.split(' ')[1]);
  return `${group} commands: ${below.join(', ')}`;
}

function sentence(summary: string): string {
  return `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;
}
