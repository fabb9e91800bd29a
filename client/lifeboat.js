#!/usr/bin/env node
// Starts the CLI on Node 24 or later: this Node when it is new enough, else the one that came with the package.
// In a checkout the sources run as they are; an installed package has only dist/.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const NEEDED = 24;
const folder = dirname(fileURLToPath(import.meta.url));
const entry = [join(folder, 'cli.ts'), join(folder, '../dist/client/cli.js')].find((path) => existsSync(path));

/** Its exports do not name the program. */
function packagedNode() {
  for (const place of createRequire(import.meta.url).resolve.paths('node') ?? []) {
    const path = join(place, 'node', 'bin', 'node');
    if (existsSync(path)) return path;
  }
  return undefined;
}

/** A terminal sends its Ctrl-C to the child, too; without one it is handed on as every other signal is. */
function runOn(node) {
  const child = spawn(node, [entry, ...process.argv.slice(2)], { stdio: 'inherit' });
  const atTerminal = [process.stdin, process.stdout, process.stderr].some((stream) => stream.isTTY);
  process.on('SIGINT', () => atTerminal || child.kill('SIGINT'));
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.once('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
}

if (Number(process.versions.node.split('.')[0]) >= NEEDED) {
  await import(entry);
} else {
  const node = packagedNode();
  if (node) {
    runOn(node);
  } else {
    process.stderr.write(
      `lifeboat: Node is ${process.versions.node}, wanted ${NEEDED} or later, and the package node is not installed whole\n` +
        '  next: npm rebuild node --ignore-scripts=false, or use Node 24\n',
    );
    process.exitCode = 1;
  }
}
