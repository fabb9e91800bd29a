/**
 * A line of postgresql.conf. A backslash begins an escape in the quotes of the server's files (guc-file.l), whatever
 * standard_conforming_strings says.
 */
export function settingLine(name: string, value: string): string {
  return `${name} = '${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}
