// Runs a task of the project on the Node 24 that the packages bring, installing the packages first when they are missing
// or older than package-lock.json. Plain JavaScript without a dependency: this is what runs before anything is installed.
//   node workers/dev/bootstrap.mjs setup|demo|test|bench|soak|build|assemble [ARGUMENT...]
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const TASKS = {
  setup: 'workers/dev/setup/main.ts',
  demo: 'workers/dev/demo/main.ts',
  test: 'workers/dev/test.ts',
  bench: 'test/bench/main.ts',
  soak: 'test/soak/main.ts',
  build: 'workers/dev/build.ts',
  assemble: 'workers/dev/assemble.ts',
};
const OLDEST_NODE = [20, 3];
/** npm hands on a Ctrl-C that the terminal has sent to everybody already: what comes this soon is the same key press. */
const SAME_KEY_PRESS_MS = 300;

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const node = join(root, 'node_modules', '.bin', 'node');

function say(line) {
  process.stderr.write(`${line}\n`);
}

function stop(message, next) {
  say(`lifeboat: ${message}\n  next: ${next}`);
  process.exit(1);
}

/** Runs a program in a process group of its own and hands on each signal once; gives the exit code. */
function runToEnd(program, args, options = {}) {
  const child = spawn(program, args, { stdio: 'inherit', cwd: root, detached: true, ...options });
  let last = { signal: '', at: Number.NEGATIVE_INFINITY };
  const handOn = (signal) => {
    const at = performance.now();
    const repeated = signal === last.signal && at - last.at < SAME_KEY_PRESS_MS;
    last = { signal, at };
    if (!repeated && child.pid !== undefined) process.kill(options.group ? -child.pid : child.pid, signal);
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const signal of signals) process.on(signal, handOn);
  return new Promise((resolve) => {
    child.once('error', (error) => {
      say(`lifeboat: ${program} cannot be run: ${error.message}`);
      resolve(127);
    });
    child.once('exit', (code, signal) => {
      for (const each of signals) process.off(each, handOn);
      resolve(code ?? 128 + (constants.signals[signal] ?? 0));
    });
  });
}

/** Why the packages have to be installed; undefined when they are what package-lock.json says. */
function reasonToInstall() {
  const installed = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(installed)) return 'node_modules is missing';
  const packagesOf = (path) => JSON.parse(readFileSync(path, 'utf8')).packages ?? {};
  const have = packagesOf(installed);
  for (const [path, wanted] of Object.entries(packagesOf(join(root, 'package-lock.json')))) {
    if (path === '' || wanted.link || (wanted.optional && !have[path])) continue;
    if (!have[path]) return `${path} is missing`;
    if (have[path].version !== wanted.version) return `${path} is ${have[path].version} instead of ${wanted.version}`;
  }
  return undefined;
}

async function installPackages() {
  const reason = reasonToInstall();
  if (reason === undefined) return;
  const startMs = performance.now();
  say(`installing packages: ${reason}`);
  const npm = process.env.npm_execpath;
  const [program, ...args] = npm?.endsWith('.js') ? [process.execPath, npm] : ['npm'];
  const code = await runToEnd(program, [...args, 'ci', '--no-audit', '--no-fund', '--loglevel=error'], { group: true });
  if (code !== 0) stop(`npm ci ended with ${code}`, 'mend what npm says above, then run the same command again');
  say(`installed packages in ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
}

function nodeProgram() {
  if (existsSync(node)) return node;
  if (Number(process.versions.node.split('.')[0]) >= 24) return process.execPath;
  return stop(
    'Node 24 did not come with the packages',
    'npm rebuild node --ignore-scripts=false, or use Node 24 yourself',
  );
}

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
  stop(
    `Node is ${process.versions.node}, wanted ${OLDEST_NODE.join('.')} or later`,
    'install a newer Node: https://nodejs.org',
  );
}
const [name, ...rest] = process.argv.slice(2);
const task = TASKS[name];
if (task === undefined) {
  stop(`task ${name} does not exist`, `npm run ${Object.keys(TASKS).join(', npm run ')}`);
}
await installPackages();
if (!existsSync(join(root, task))) stop(`${task} does not exist`, 'use a complete checkout');
// The channel closes when this process dies, however it dies: that is how the task learns that nobody waits any more.
process.exitCode = await runToEnd(nodeProgram(), [join(root, task), ...rest], {
  stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
});
