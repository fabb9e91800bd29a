import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { z } from 'zod';
import { failure } from '../../workflows/model/failure.ts';
import { pathOption } from './option-types.ts';

/** A secret by reference. The file keeps no secret; the value is read as late as possible. */
export const secretRefSchema = z
  .union([z.strictObject({ env: z.string().min(1) }), z.strictObject({ file: pathOption })], {
    error: 'a reference, { env: NAME } or { file: PATH }: a secret never stands in the file itself',
  })
  .meta({ secret: true });
export type SecretRef = z.infer<typeof secretRefSchema>;

/** Holds a secret; every string form of it is a placeholder, so it cannot slip into a log, a message or a payload. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }

  [inspect.custom](): string {
    return '[secret]';
  }
}

/** ConfigInvalid when the variable is unset or empty, or the file cannot be read. A file's last line end is dropped. */
export function resolveSecret(ref: SecretRef, place: string): Secret {
  if ('env' in ref) {
    const value = process.env[ref.env];
    if (value) return new Secret(value);
    throw failure('ConfigInvalid', `${place}: environment variable ${ref.env} is not set`, {
      place,
      expected: `a value in ${ref.env}`,
      found: value === undefined ? 'unset' : 'empty',
      hint: `export ${ref.env}=... for the process that needs it, or use { file: PATH }`,
    });
  }
  try {
    return new Secret(readFileSync(ref.file, 'utf8').replace(/\r?\n$/, ''));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
    throw failure('ConfigInvalid', `${place}: secret file ${ref.file} cannot be read`, {
      place,
      expected: 'a readable file',
      found: code,
      hint: `check that ${ref.file} exists and that this user may read it`,
      cause: error,
    });
  }
}
