import { z } from 'zod';
import type { Program } from '../io/program.ts';
import { programShape, runProgram } from '../io/program.ts';
import type { Answer, CheckUse } from './service-check.ts';
import { defineServiceCheck } from './service-check.ts';

/** Exit 0 says that the service works. It gets LIFEBOAT_SERVICE, LIFEBOAT_CHECK, LIFEBOAT_HOST and LIFEBOAT_PORT. */
export const commandCheck = defineServiceCheck<Program>({
  kind: 'command',
  schema: z.strictObject(programShape),
  summary: 'a program that ends with 0; told the server by `LIFEBOAT_HOST` and `LIFEBOAT_PORT`',
  ask,
});

const MOST_LETTERS = 300;

async function ask(program: Program, { service, name, at, run }: CheckUse): Promise<Answer> {
  const environment = {
    ...{ LIFEBOAT_SERVICE: service, LIFEBOAT_CHECK: name },
    ...{ LIFEBOAT_HOST: at.host, LIFEBOAT_PORT: String(at.port), ...at.environment },
  };
  const end = await runProgram(program, { args: [], environment, place: `services.${service}.checks` }, run);
  if (end.timedOut) return { ok: false, expected: 'exit 0', found: `no answer within ${end.after}` };
  const words = (end.stderr.trim() || end.stdout.trim()).split('\n').at(-1)?.slice(0, MOST_LETTERS);
  const found = `exit ${end.code ?? 'by a signal'}`;
  return { ok: end.code === 0, expected: 'exit 0', found, ...(words ? { detail: words } : {}) };
}
