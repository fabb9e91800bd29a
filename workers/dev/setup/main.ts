import { interruption } from '../interruption.ts';
import { ALL_TOOLS, setUpTools, troubleLines, USUAL_TOOLS } from './index.ts';
import type { ToolName } from './tool.ts';

/** npm run setup [-- TOOL...]: makes the tools ready (the usual ones, or the named ones), says where each came from. */
async function main(words: readonly string[]): Promise<number> {
  const unknown = words.filter((word) => !(ALL_TOOLS as readonly string[]).includes(word));
  if (unknown.length > 0) {
    console.error(`lifeboat: tool ${unknown.join(', ')} does not exist\n  next: one of ${ALL_TOOLS.join(', ')}`);
    return 2;
  }
  const names = words.length > 0 ? (words as ToolName[]) : USUAL_TOOLS;
  const reports = await setUpTools(names, { log: (line) => console.error(line), signal: interruption() });
  for (const { name, path, how, tookMs, error } of reports) {
    if (path !== undefined) console.log(`${name}: ${path} (${how}, ${(tookMs / 1000).toFixed(1)} s)`);
    else for (const line of troubleLines(name, error)) console.error(line);
  }
  return reports.every(({ path }) => path !== undefined) ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(`lifeboat: ${error instanceof Error ? error.message : String(error)}`);
  return 130;
});
