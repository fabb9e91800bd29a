import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { parse, stringify } from 'yaml';
import { loadConfig } from '../../activities/config/index.ts';
import { SERVICE_CHECKS } from '../../activities/checks/index.ts';
import { SWITCHES } from '../../activities/switches/index.ts';
import { EXIT_CODES } from '../../client/exit-codes.ts';
import { NOTIFIERS } from '../../activities/notifiers/index.ts';
import { VERBS } from '../../client/verbs.ts';
import { checkTarget } from '../../workflows/model/order-check.ts';
import { withTempDir } from '../support/temp-dir.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const README = await readFile(join(ROOT, 'README.md'), 'utf8');

/** Rows of the table with this first heading, as cells. */
function tableRows(heading: string): string[][] {
  const lines = README.split('\n');
  const at = lines.findIndex((line) => line.startsWith(`| ${heading} |`));
  const rows = lines.slice(at + 2);
  const end = rows.findIndex((line) => !line.startsWith('|'));
  return rows.slice(0, end).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** Fenced blocks of one language. */
function blocks(language: string, text = README): string[] {
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms'))].map((match) => match[1] ?? '');
}

const commandLines = blocks('sh').flatMap((block) => block.replaceAll('\\\n', ' ').split('\n'));

test('README has the exit codes of the CLI, in its words', () => {
  const expected = EXIT_CODES.map(({ name, exitCode, means }) => [String(exitCode), name, means]);
  assert.deepEqual(tableRows('code'), expected);
});

test('README has every command of the CLI, in its words', () => {
  const expected = VERBS.map(({ name, summary }) => [`\`${name}\``, summary]);
  assert.deepEqual(tableRows('command'), expected);
});

test('README has every kind of notifier, in its words', () => {
  const expected = NOTIFIERS.map(({ kind, summary, usual }) => [
    ...[`\`${kind}\``, summary],
    `${usual.priorities.join(', ')}${usual.atOnce ? ', at once' : ''}`,
  ]);
  assert.deepEqual(tableRows('notifier'), expected);
});

test('README has every kind of check, in its words', () => {
  assert.deepEqual(tableRows('check'), SERVICE_CHECKS.map(({ kind, summary }) => [`\`${kind}\``, summary])); // prettier-ignore
});

test('every command line in README is one that the CLI takes', async () => {
  const lines = commandLines
    .map((line) => /^(?:npx )?lifeboat (.*)$/.exec(line)?.[1])
    .filter((line) => line !== undefined);
  assert.ok(lines.length >= 10, `${lines.length} command lines`);
  for (const line of lines) {
    const verb = VERBS.find(({ name }) => line === name || line.startsWith(`${name} `));
    assert.ok(verb, `lifeboat ${line}`);
    const command = new Command().exitOverride().configureOutput({ outputError: () => {} });
    (await verb.load()).define(command);
    command.action(() => {});
    const words = line.slice(verb.name.length).split(' ').filter(Boolean);
    await assert.doesNotReject(command.parseAsync(words, { from: 'user' }), `lifeboat ${line}`);
  }
});

test('the flags that README lists for targets and restore are those of restore', async () => {
  const restore = new Command();
  await VERBS.find(({ name }) => name === 'restore')
    ?.load()
    .then(({ define }) => define(restore));
  const listed = /^Targets of `restore`(.*?)\n\n/ms.exec(README)?.[1] ?? '';
  const named = [...listed.matchAll(/`(--[a-z-]+)`/g)].map((match) => match[1]);
  const has = restore.options.map(({ long }) => long).filter((long) => long !== '--detach');
  assert.deepEqual(named.toSorted(), has.toSorted());
});

test('what README gives Temporal is a workflow and an order', async () => {
  const types = await readFile(join(ROOT, 'workflows/index.ts'), 'utf8');
  const starts = commandLines.filter((line) => line.includes('--input'));
  assert.ok(starts.length >= 5);
  for (const line of starts) {
    const type = / --type (\w+)/.exec(line)?.[1] ?? '';
    assert.match(types, new RegExp(`export \\{ ${type} \\}`), line);
    const order = JSON.parse(/--input '([^']*)'/.exec(line)?.[1] ?? '') as Record<string, unknown>;
    const about = order['service'] ?? order['source'] ?? (order['input'] as { source: string }).source;
    assert.equal(about, ['failover', 'failoverDrill', 'rejoin', 'failback'].includes(type) ? 'web' : 'shop', line);
    if (order['target'] !== undefined) checkTarget(type, order['target']);
  }
});

test('the configuration in README is one that is taken', async () => {
  const [yaml = ''] = blocks('yaml');
  await withTempDir(async (dir) => {
    const path = join(dir, 'lifeboat.yml');
    await writeFile(path, yaml);
    const config = loadConfig({ path, environment: {} });
    assert.deepEqual(Object.keys(config.sources), ['shop']);
  });
});

test('every other piece of configuration in README is taken beside the first', async () => {
  const [first = '', ...pieces] = [...README.matchAll(/^```ya?ml\n(.*?)^```/gms)].map((match) => match[1] ?? '');
  assert.ok(pieces.length >= 5, `${pieces.length} pieces`);
  await withTempDir(async (dir) => {
    for (const piece of pieces) {
      const whole = parse(first) as { sources: { shop: object } };
      // How far it is indented says what it is a piece of.
      const into = new Map([[0, whole], [2, whole.sources], [4, whole.sources.shop]]).get(piece.search(/\S/)); // prettier-ignore
      assert.ok(into, piece);
      Object.assign(into, parse(piece));
      const path = join(dir, 'lifeboat.yml');
      await writeFile(path, stringify(whole));
      assert.doesNotThrow(() => loadConfig({ path, environment: {} }), piece);
    }
  });
});

test('README has every kind of switch, and docs/switches.md one of each that it describes', async () => {
  const kinds = SWITCHES.map(({ kind }) => `\`${kind}\``);
  assert.deepEqual(tableRows('switch').map(([kind]) => kind).toSorted(), kinds.toSorted()); // prettier-ignore
  const [first = ''] = blocks('yaml');
  const pieces = blocks('yaml', await readFile(join(ROOT, 'docs/switches.md'), 'utf8'));
  assert.ok(pieces.length >= 5, `${pieces.length} pieces`);
  await withTempDir(async (dir) => {
    const path = join(dir, 'lifeboat.yml');
    for (const piece of pieces) {
      await writeFile(path, stringify({ ...parse(first), ...parse(piece) }));
      assert.doesNotThrow(() => loadConfig({ path, environment: {} }), piece);
    }
  });
});

test('links between the documents lead somewhere', async () => {
  const docs = (await readdir(join(ROOT, 'docs'))).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`);
  const checked: string[] = [];
  for (const file of ['README.md', ...docs]) {
    const text = await readFile(join(ROOT, file), 'utf8');
    for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue;
      const [path = '', anchor] = target.split('#');
      const to = path === '' ? file : join(dirname(file), path);
      assert.ok(existsSync(join(ROOT, to)), `${file}: ${target}`);
      if (anchor !== undefined)
        assert.ok(anchors(await readFile(join(ROOT, to), 'utf8')).includes(anchor), `${file}: ${target}`);
      checked.push(target);
    }
  }
  assert.ok(checked.length > 20);
});

/** As GitHub makes them of headings. */
function anchors(markdown: string): string[] {
  return [...markdown.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^a-z0-9 -]/g, '')
      .replaceAll(' ', '-'),
  );
}
