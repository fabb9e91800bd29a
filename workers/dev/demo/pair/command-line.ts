import type { Host, Writer } from '../../../../client/environment.ts';
import { runCli } from '../../../../client/program.ts';
import { failure } from '../../../../workflows/model/failure.ts';

/** What a command answered. */
export interface Said {
  code: number;
  /** Its one object. */
  json: Record<string, unknown>;
}

/** The product's own command line, in this process; what it tells a person meanwhile is not shown. */
export interface CommandLine {
  ask(...words: string[]): Promise<Said>;
  /** The same of a command that has to do well: its failure is thrown. */
  must<Answer>(...words: string[]): Promise<Answer>;
}

export function commandLine(use: { config: string; env: Record<string, string>; signal: AbortSignal }): CommandLine {
  const ask = async (...words: string[]): Promise<Said> => {
    let out = '';
    const quiet: Writer = { write: () => undefined };
    const host: Host = {
      stdout: { write: (text) => (out += text) },
      stderr: quiet,
      environment: { ...process.env, ...use.env },
      hostname: 'demo',
      interrupted: use.signal,
      nowMs: () => Date.now(),
    };
    const code = await runCli([...words, '--config', use.config, '--json'], host);
    use.signal.throwIfAborted();
    return { code, json: JSON.parse(out.trimEnd().split('\n').at(-1) ?? '{}') as Said['json'] };
  };
  const must = async <Answer>(...words: string[]): Promise<Answer> => {
    const { code, json } = await ask(...words);
    if (code === 0) return json as Answer;
    const { message = '', hint = '' } = (json['error'] ?? {}) as { message?: string; hint?: string };
    throw failure('Precondition', `lifeboat ${words.join(' ')} ended with ${code}: ${message}`, {
      place: `lifeboat ${words.join(' ')}`,
      expected: 'exit 0',
      found: `exit ${code}`,
      hint,
    });
  };
  return { ask, must };
}
