import type { ZodType } from 'zod';
import { z } from 'zod';
import { failureFacts, findFailure } from '../../workflows/model/failure.ts';
import { parseBytes, parseDuration } from '../../workflows/model/units.ts';

/**
 * Building blocks for the options of stores, sources and notifiers. They carry a mark that the configuration reads:
 * a path is resolved against the folder of lifeboat.yml, a secret is checked and never shown.
 */
export interface OptionMark {
  path?: boolean;
  secret?: boolean;
}

/** A file or folder; relative ones are relative to the folder of lifeboat.yml. */
export const pathOption: ZodType<string, string> = z
  .string()
  .regex(/^(?!~)(?!.*\$\{)[^\0]+$/, 'a path as it is: "~" and "${...}" are not expanded')
  .meta({ path: true });

/** "500ms", "5s", "1h30m" to milliseconds. */
export const durationOption: ZodType<number, string> = withUnit(parseDuration);

/** "16MiB", "1.5GB" to bytes. */
export const bytesOption: ZodType<number, string> = withUnit(parseBytes);

function withUnit(parse: (text: string) => number): ZodType<number, string> {
  return z.string().transform((text, context) => {
    try {
      return parse(text);
    } catch (error) {
      if (!findFailure(error)) throw error;
      context.addIssue({ code: 'custom', message: failureFacts(error).expected ?? 'a number with a unit' });
      return z.NEVER;
    }
  });
}
