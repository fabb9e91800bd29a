import { z } from 'zod';
import type { ZodType } from 'zod';
import type { OptionMark } from '../io/option-types.ts';
import type { Path } from './problem.ts';

/** A schema without its wrappers, the marks found on the way in, and the default that stands in for a missing value. */
export interface Opened {
  schema: ZodType;
  mark: OptionMark;
  hasDefault: boolean;
  defaultValue: unknown;
}

/** Takes off optional, default, pipe and the like; of a union, the form that `value` has. */
export function open(schema: ZodType, value: unknown): Opened {
  const opened: Opened = { schema, mark: {}, hasDefault: false, defaultValue: undefined };
  for (let at: ZodType | undefined = schema; at; at = inner(at, value)) {
    Object.assign(opened.mark, at.meta());
    if ((at instanceof z.ZodDefault || at instanceof z.ZodPrefault) && !opened.hasDefault) {
      opened.hasDefault = true;
      opened.defaultValue = at.def.defaultValue;
    }
    opened.schema = at;
  }
  return opened;
}

function inner(schema: ZodType, value: unknown): ZodType | undefined {
  if (schema instanceof z.ZodPipe) return schema.in as ZodType;
  if (schema instanceof z.ZodUnion) return formOf(schema, value);
  if (
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodReadonly ||
    schema instanceof z.ZodLazy
  ) {
    return schema.unwrap() as ZodType;
  }
  return undefined;
}

/** A discriminated union is told by its `kind` even when the rest is wrong, so that every problem can be named. */
function formOf(union: z.ZodUnion, value: unknown): ZodType | undefined {
  const forms = union.options as readonly ZodType[];
  if (union instanceof z.ZodDiscriminatedUnion && isMapping(value)) {
    const key = union.def.discriminator;
    return forms.find((form) => childSchema(open(form, value).schema, key)?.safeParse(value[key]).success);
  }
  return forms.find((form) => form.safeParse(value).success);
}

/** The schema of one member of an object, record or list. */
export function childSchema(opened: ZodType, key: string | number): ZodType | undefined {
  if (opened instanceof z.ZodObject) return (opened.shape as Record<string, ZodType>)[key];
  if (opened instanceof z.ZodRecord) return opened.valueType as ZodType;
  if (opened instanceof z.ZodArray) return opened.element as ZodType;
  return undefined;
}

/** The schema that stands at `path` of `data`, and every mark on the way there. */
export function schemaAt(root: ZodType, data: unknown, path: Path): { schema: ZodType | undefined; mark: OptionMark } {
  let { schema, mark } = open(root, data);
  let value = data;
  for (const step of path) {
    const next = childSchema(schema, step);
    if (!next) return { schema: undefined, mark };
    value = memberOf(value, step);
    const opened = open(next, value);
    schema = opened.schema;
    mark = { ...mark, ...opened.mark };
  }
  return { schema, mark };
}

export interface Leaf {
  path: Path;
  value: unknown;
  mark: OptionMark;
  isDefault: boolean;
}

/** Every value of `data` and every default that fills a gap, in the order of the schema. A secret reference is one leaf. */
export function* leavesOf(root: ZodType, data: unknown, from: { path: Path; isDefault: boolean }): Generator<Leaf> {
  const { schema, mark, hasDefault, defaultValue } = open(root, data);
  const isDefault = from.isDefault || data === undefined;
  const value = data === undefined && hasDefault ? defaultValue : data;
  if (value === undefined) return;
  const keys = mark.secret ? undefined : keysOf(schema, value);
  if (!keys) {
    yield { path: from.path, value, mark, isDefault };
    return;
  }
  for (const key of keys) {
    const child = childSchema(schema, key);
    if (child) yield* leavesOf(child, memberOf(value, key), { path: [...from.path, key], isDefault });
  }
}

function keysOf(schema: ZodType, value: unknown): (string | number)[] | undefined {
  if (schema instanceof z.ZodObject) {
    const keys = Object.keys(schema.shape as object);
    // `kind` decides what the others are.
    return keys.includes('kind') ? ['kind', ...keys.filter((key) => key !== 'kind')] : keys;
  }
  if (schema instanceof z.ZodRecord && isMapping(value)) return Object.keys(value);
  if (schema instanceof z.ZodArray && Array.isArray(value)) return [...value.keys()];
  return undefined;
}

/** A copy of `data` in which `change` has replaced every value whose schema carries a mark. */
export function mapMarked(
  root: ZodType,
  data: unknown,
  change: (value: unknown, mark: OptionMark) => unknown,
): unknown {
  const { schema, mark } = open(root, data);
  const each = (key: string | number, value: unknown): unknown => {
    const child = childSchema(schema, key);
    return child ? mapMarked(child, value, change) : value;
  };
  if (Array.isArray(data)) return data.map((item, index) => each(index, item));
  if (isMapping(data)) return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, each(key, value)]));
  return change(data, mark);
}

export function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function memberOf(value: unknown, key: string | number): unknown {
  if (Array.isArray(value)) return value[Number(key)];
  return isMapping(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}
