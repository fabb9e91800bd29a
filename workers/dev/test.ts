import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, globSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';
import { interruption } from './interruption.ts';
import { testScratch } from './scratch.ts';
import { cacheFolder } from './setup/cache.ts';
import { setUpTools, troubleLines, USUAL_TOOLS } from './setup/index.ts';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../..');
/** For hangs only: a busy machine takes several times as long as a quiet one. */
const TEST_LIMIT_MS = 600_000;
/** Half of the files mostly wait: for a heartbeat that stays out, a timer, a server that starts. */
const FILES_AT_ONCE = availableParallelism() + 1;
const SLOWEST_SHOWN = 8;

/** Skips that are no failure where nothing may be skipped, as "file: name of the test". Each with its reason. */
const ALLOWED_SKIPS: readonly string[] = [
  // Looks at system calls with strace, which a machine need not have, and a container need not allow.
  'test/contract/store-filesystem.test.ts: bytes are durable before their name is, and the name before the answer',
  // Makes a namespace of processes, for which a container may lack the right.
  'test/integration/fence.test.ts: a worker in another container than the server does not say that it is fenced',
  // Makes network namespaces, for which a container may lack the right, and a kernel policy routing.
  'test/integration/network-cuts.test.ts: cut in silence, frozen and thawed: three sites in networks of their own, on PostgreSQL 18',
];

/** Compiled sources of the hundreds of processes that the tests start: each loads in half the time. */
const COMPILED = join(cacheFolder(), 'compiled');
/** How long each file took. */
const DURATIONS = join(cacheFolder(), 'test-durations.json');

const CHECKS: readonly { name: string; module: string; args: string[] }[] = [
  { name: 'types', module: 'typescript/bin/tsc', args: ['--noEmit', '-p', '.'] },
  { name: 'lint', module: 'eslint/bin/eslint.js', args: ['.'] },
  { name: 'format', module: 'prettier/bin/prettier.cjs', args: ['--check', '--log-level=warn', '.'] },
];

interface Outcome {
  file: string;
  name: string;
  durationMs: number;
}

interface Results {
  passed: number;
  failed: Outcome[];
  skipped: Outcome[];
  files: Outcome[];
}

/** npm test [-- FILE...]: tools, types, lint, format, then every test; with files only these, without the checks. */
async function main(given: readonly string[], signal: AbortSignal): Promise<number> {
  const startMs = performance.now();
  const files = given.length > 0 ? given.map((file) => resolve(file)) : await testFiles();
  const absent = files.filter((file) => !existsSync(file));
  if (absent.length > 0) {
    console.error(
      `lifeboat: test file ${absent.join(', ')} does not exist\n  next: npm test -- test/unit/units.test.ts`,
    );
    return 2;
  }
  const strict = isSet('CI') || isSet('LIFEBOAT_NO_SKIP');
  const toolsReady = await prepareTools(signal);
  if (!toolsReady && strict) return 1;
  const brokenChecks = given.length > 0 ? [] : await runChecks(signal);
  const results = await runTests(files, signal);
  if (given.length === 0) await keepDurations(results.files);
  const badSkips = strict ? results.skipped.filter((skip) => !ALLOWED_SKIPS.includes(titleOf(skip))) : [];
  summarise(results, { brokenChecks, badSkips, tookMs: performance.now() - startMs });
  signal.throwIfAborted();
  const good = results.failed.length + badSkips.length + brokenChecks.length === 0 && results.passed > 0;
  return good ? 0 : 1;
}

function isSet(name: string): boolean {
  return !['', '0', 'false', undefined].includes(process.env[name]);
}

/** The longest of the last run first, so that none of them is alone at the end; new ones before all others. */
async function testFiles(): Promise<string[]> {
  const last = await lastDurations();
  const longest = (file: string): number => last.get(file) ?? Infinity;
  return mixed()
    .sort((a, b) => (longest(a) === longest(b) ? 0 : longest(b) - longest(a)))
    .map((file) => join(ROOT, file));
}

/** Files that wait beside files that compute. */
function mixed(): string[] {
  const filesOf = (layer: string): string[] => globSync(`test/${layer}/**/*.test.ts`, { cwd: ROOT }).sort();
  const waiting = ['faults', 'workflows', 'contract'].flatMap(filesOf);
  const computing = ['integration', 'unit', 'replay'].flatMap(filesOf);
  const pairs = Array.from({ length: Math.max(waiting.length, computing.length) }, (_, at) => [
    waiting[at],
    computing[at],
  ]);
  return pairs.flat().filter((file) => file !== undefined);
}

/** Milliseconds by file; nothing when there was no run on this machine. */
async function lastDurations(): Promise<Map<string, number>> {
  try {
    return new Map(JSON.parse(await readFile(DURATIONS, 'utf8')) as [string, number][]);
  } catch {
    return new Map();
  }
}

async function keepDurations(files: readonly Outcome[]): Promise<void> {
  const durations = files.map(({ file, durationMs }) => [file, Math.round(durationMs)]);
  await writeFile(DURATIONS, JSON.stringify(durations)).catch(() => undefined);
}

async function prepareTools(signal: AbortSignal): Promise<boolean> {
  const reports = await setUpTools(USUAL_TOOLS, { log: (line) => console.log(line), signal });
  const failed = reports.filter(({ path }) => path === undefined);
  for (const { name, error } of failed) for (const line of troubleLines(name, error)) console.log(line);
  return failed.length === 0;
}

/** All at once; the output of one that fails is shown whole. */
async function runChecks(signal: AbortSignal): Promise<string[]> {
  const broken = await Promise.all(
    CHECKS.map(async ({ name, module, args }) => {
      const startMs = performance.now();
      const program = join(ROOT, 'node_modules', module);
      const child = spawn(process.execPath, [program, ...args], { cwd: ROOT, signal, stdio: 'pipe' });
      let output = '';
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (bytes: Buffer) => (output += String(bytes)));
      const [code] = (await once(child, 'close')) as [number | null];
      console.log(`${name}: ${code === 0 ? 'ok' : 'FAILED'} (${seconds(performance.now() - startMs)})`);
      if (code !== 0) console.log(output.trimEnd());
      return code === 0 ? [] : [name];
    }),
  );
  return broken.flat();
}

interface TestEvent {
  name: string;
  nesting: number;
  file?: string;
  skip?: string | boolean;
  details: { duration_ms?: number; type?: string };
}

async function runTests(files: string[], signal: AbortSignal): Promise<Results> {
  const results: Results = { passed: 0, failed: [], skipped: [], files: [] };
  await using scratch = await testScratch();
  console.log(`temporary files: ${scratch.path}`);
  process.env['TMPDIR'] = scratch.path;
  process.env['NODE_COMPILE_CACHE'] ??= COMPILED;
  const stream = run({ files, cwd: ROOT, concurrency: FILES_AT_ONCE, timeout: TEST_LIMIT_MS, signal });
  const outcomeOf = ({ name, file = name, details }: TestEvent): Outcome => ({
    file: relative(ROOT, file),
    name,
    durationMs: details.duration_ms ?? 0,
  });
  stream.on('test:pass', (event: TestEvent) => {
    if (event.skip !== undefined && event.skip !== false) results.skipped.push(outcomeOf(event));
    else if (event.details.type !== 'suite') results.passed++;
  });
  stream.on('test:fail', (event: TestEvent) => results.failed.push(outcomeOf(event)));
  stream.on('test:summary', ({ file, duration_ms: durationMs }: { file?: string; duration_ms: number }) => {
    if (file !== undefined) results.files.push({ file: relative(ROOT, file), name: '', durationMs });
  });
  const shown = stream.compose(spec);
  shown.pipe(process.stdout);
  await once(shown, 'end');
  return results;
}

interface Verdict {
  brokenChecks: string[];
  badSkips: Outcome[];
  tookMs: number;
}

function summarise(results: Results, { brokenChecks, badSkips, tookMs }: Verdict): void {
  const { passed, failed, skipped, files } = results;
  const slowest = [...files].sort((a, b) => b.durationMs - a.durationMs).slice(0, SLOWEST_SHOWN);
  console.log('\nslowest files');
  for (const { file, durationMs } of slowest) console.log(`  ${seconds(durationMs).padStart(8)}  ${file}`);
  list('checks that failed', brokenChecks);
  list('tests that failed', failed.map(titleOf));
  list('skipped', skipped.map(titleOf));
  list('skipped, and nothing may be skipped here', badSkips.map(titleOf));
  const counts = `${passed} passed, ${failed.length} failed, ${skipped.length} skipped`;
  console.log(`\n${counts} in ${files.length} files, ${seconds(tookMs)}`);
}

function titleOf({ file, name }: Outcome): string {
  return `${file}: ${name}`;
}

function list(title: string, lines: readonly string[]): void {
  if (lines.length > 0) console.log(`\n${title}\n${lines.map((line) => `  ${line}`).join('\n')}`);
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

process.exitCode = await main(process.argv.slice(2), interruption()).catch((error: unknown) => {
  console.error(`lifeboat: ${error instanceof Error ? error.message : String(error)}`);
  return 130;
});
