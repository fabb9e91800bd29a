import type { DumpedTable } from '../../../../workflows/model/dump.ts';
import type { Only } from '../../../../workflows/model/dump-selection.ts';

/** A line of `pg_restore --list`: "3386; 1259 16385 TABLE public orders postgres"; after the ids: kind, schema, name, owner. */
const LINE = /^\d+; \d+ \d+ (.*)$/;

/** What tables stand on: it is small, and nobody can tell from a list which of it a table needs. */
const GROUND = [
  'EXTENSION',
  'SCHEMA',
  'TYPE',
  'SHELL TYPE',
  'DOMAIN',
  'COLLATION',
  'FUNCTION',
  'PROCEDURE',
  'AGGREGATE',
  'OPERATOR',
  'OPERATOR CLASS',
  'OPERATOR FAMILY',
  'CAST',
  'TEXT SEARCH',
  'PROCEDURAL LANGUAGE',
].map((kind) => `${kind} `);

/** What is listed under its table's name. */
const OF_TABLE = [
  'TABLE',
  'TABLE ATTACH',
  'DEFAULT',
  'CONSTRAINT',
  'CHECK CONSTRAINT',
  'FK CONSTRAINT',
  'TRIGGER',
  'RULE',
  'POLICY',
  'ROW SECURITY',
];

/** Those lines of a list of contents that make the chosen tables, or all of a schema, with what they stand on. */
export function chosenLines(list: string, only: Only): string[] {
  const starts = only.schema === undefined ? only.tables.flatMap(startsOf) : [];
  const isChosen = (text: string): boolean =>
    only.schema === undefined ? starts.some((start) => text.startsWith(start)) : isOfSchema(text, only.schema);
  return list.split('\n').filter((line) => {
    const text = LINE.exec(line)?.[1];
    return text !== undefined && (GROUND.some((kind) => text.startsWith(kind)) || isChosen(text));
  });
}

function startsOf({ schema, name, indexes = [], sequences = [] }: DumpedTable): string[] {
  const place = (sequence: string): string =>
    sequence.includes('.') ? sequence.replace('.', ' ') : `${schema} ${sequence}`;
  return [
    ...OF_TABLE.map((kind) => `${kind} ${schema} ${name} `),
    ...['ACL', 'COMMENT', 'SECURITY LABEL'].map((kind) => `${kind} ${schema} TABLE ${name} `),
    ...['ACL', 'COMMENT'].map((kind) => `${kind} ${schema} COLUMN ${name}.`),
    ...indexes.flatMap((index) => [`INDEX ${schema} ${index} `, `INDEX ATTACH ${schema} ${index} `]),
    ...sequences.flatMap((sequence) => [
      `SEQUENCE ${place(sequence)} `,
      `SEQUENCE OWNED BY ${place(sequence)} `,
      `ACL ${place(sequence).replace(' ', ' SEQUENCE ')} `,
    ]),
  ];
}

/** The kind is upper case; the schema comes behind it. */
function isOfSchema(text: string, schema: string): boolean {
  const kind = /^[A-Z]+(?: [A-Z]+)*? /;
  for (let rest = text, match = kind.exec(rest); match; match = kind.exec(rest)) {
    rest = rest.slice(match[0].length);
    if (rest.startsWith(`${schema} `)) return true;
  }
  return false;
}
