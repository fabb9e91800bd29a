/** Columns padded to their widest cell, two spaces between; numbers to the right. Rows may be empty. */
export function tableLines(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const lines = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...lines.map((line) => width(line[column] ?? ''))));
  return lines.map((line, index) =>
    header
      .map((_, column) => pad(line[column] ?? '', widths[column] ?? 0, index > 0 && isNumeric(rows, column)))
      .join('  ')
      .trimEnd(),
  );
}

/** "name   value" pairs, the names aligned; undefined values are left out. */
export function pairLines(pairs: readonly (readonly [string, string | undefined])[]): string[] {
  const shown = pairs.filter((pair): pair is readonly [string, string] => pair[1] !== undefined);
  const widest = Math.max(0, ...shown.map(([name]) => width(name)));
  return shown.map(([name, value]) => `${pad(name, widest, false)}  ${value}`);
}

function isNumeric(rows: readonly (readonly string[])[], column: number): boolean {
  return rows.every((row) => /^[\d.,]+( ?[KMGT]?i?B)?$|^-?$/.test(row[column] ?? ''));
}

function pad(text: string, to: number, right: boolean): string {
  const gap = ' '.repeat(Math.max(0, to - width(text)));
  return right ? gap + text : text + gap;
}

/** Code points, so that an accent or an emoji does not shift a column by two. */
function width(text: string): number {
  return [...text].length;
}
