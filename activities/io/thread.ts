/** Address of a worker-thread module beside `from`, as source in development and compiled when installed. */
export function threadModule(name: string, from: string): URL {
  return new URL(`./${name}${from.endsWith('.ts') ? '.ts' : '.js'}`, from);
}
