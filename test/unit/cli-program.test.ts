import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failure } from '../../workflows/model/failure.ts';
import { reportOf } from '../../client/failure-report.ts';
import { Stop, unlessInterrupted } from '../../client/stop.ts';
import { VERBS } from '../../client/verbs.ts';
import { fakeHost } from '../support/cli-host.ts';
import type { Said } from '../support/cli-world.ts';
import { say } from '../support/cli-world.ts';

const cli = (...words: string[]): Promise<Said> => say(words, fakeHost());

test('help: every command shows its arguments, --json and at least one example that begins with its name', async () => {
  for (const { name } of VERBS) {
    const said = await cli(...name.split(' '), '--help');
    assert.equal(said.code, 0, name);
    assert.match(said.out, new RegExp(`^Usage: lifeboat ${name}\\b`), name);
    assert.match(said.out, /--json/, name);
    assert.match(said.out, new RegExp(`Examples:\\n {2}\\$ lifeboat ${name}\\b`), name);
    assert.deepEqual(await cli('help', ...name.split(' ')), said, `help ${name}`);
  }
});

test('help: the list has every command, the version is that of the package', async () => {
  const { out, code } = await cli('--help');
  assert.equal(code, 0);
  for (const { name } of VERBS) assert.match(out, new RegExp(`^ {2}${name.split(' ')[0]} `, 'm'));
  assert.match((await cli('--version')).out, /^\d+\.\d+\.\d+\n$/);
});

const WRONG: [words: string[], message: RegExp, next: string][] = [
  [['lst'], /unknown command 'lst' \(Did you mean list\?\)/, 'lifeboat --help'],
  [['backup'], /missing required argument 'source'/, 'lifeboat backup --help'],
  [['backup', 'shop', 'crm'], /too many arguments/, 'lifeboat backup --help'],
  [['backup', 'shop', '--lable', 'x'], /unknown option '--lable'/, 'lifeboat backup --help'],
  [
    ['backup', 'shop', '--type', 'half'],
    /--type is full, incremental, differential, not "half"/,
    'lifeboat backup --help',
  ],
  [['backup', 'shop', '--checkpoint', 'slow'], /--checkpoint is fast or spread, not "slow"/, 'lifeboat backup --help'],
  [['restore', 'shop', '--action', 'go'], /--action is promote, pause or shutdown/, 'lifeboat restore --help'],
  [['restore', 'shop', '--follow', 'me'], /--follow is streaming or archive, not "me"/, 'lifeboat restore --help'],
  [['restore', 'shop', '--tablespace', '1=x'], /--tablespace is OLD=NEW/, '--tablespace 16385=/srv/ts1'],
  [
    ['restore', 'shop', '--to-latest', '--to-lsn', '0/1'],
    /--to-lsn and --to-latest name two moments/,
    'give one of them',
  ],
  [['rescue', 'shop', '--only-database', 'crm'], /option --table is missing/, 'lifeboat rescue --help'],
  [['rescue', 'shop', '--table', 'x'], /--only-database <name>' not specified/, 'lifeboat rescue --help'],
  [['failover', 'web', '--planned'], /option '--to <site>' is missing/, 'lifeboat failover --help'],
  [['failover', 'web', '--drill', '--planned'], /either --drill or --planned/, 'lifeboat failover web --drill'],
  [
    ['failover', 'web', '--drill', '--break-glass', 'x'],
    /either --drill or --break-glass/,
    'lifeboat failover web --drill',
  ],
  [
    ['failover', 'web', '--to', 'west'],
    /option --planned or --unplanned is missing/,
    'lifeboat failover web --to SITE --planned --dry-run',
  ],
  [
    ['failover', 'web', '--to', 'west', '--planned', '--unplanned'],
    /either --planned or --unplanned/,
    'lifeboat failover web --to SITE --planned --dry-run',
  ],
  [
    ['failover', 'web', '--to', 'west', '--planned', '--break-glass', 'x'],
    /--break-glass goes with --unplanned/,
    'lifeboat failover --help',
  ],
  [['restore', 'shop', '--exclusive'], /--exclusive needs --to-time/, 'a name, immediate and latest'],
  [['status', '--limit', 'many'], /--limit is a number from 1 to 9999, not "many"/, 'lifeboat status --help'],
  [['status', '--follow'], /--follow needs a run/, 'lifeboat status'],
];

test('usage: each mistake is one message with the next command, exit code 2, and one object with --json', async () => {
  for (const [words, message, next] of WRONG) {
    const said = await cli(...words);
    assert.equal(said.code, 2, words.join(' '));
    assert.match(said.err, message);
    assert.ok(said.err.includes(`\n  next: ${next}`), said.err);
    assert.equal(said.out, '');

    const machine = await cli(...words, '--json');
    assert.equal(machine.err, '', words.join(' '));
    assert.equal(machine.out.trimEnd().split('\n').length, 1);
    assert.equal(machine.json['ok'], false);
    assert.equal(machine.json['exitCode'], 2);
    assert.equal((machine.json['error'] as { type: string }).type, 'Usage');
  }
});

test('usage: a bare group or a bare program answers with its help', async () => {
  for (const words of [[], ['config'], ['catalog']]) {
    const said = await cli(...words);
    assert.equal(said.code, 2);
    assert.match(said.err, /^Usage: lifeboat/);
  }
});

test('usage: --json and --config may stand before the command', async () => {
  const asked = [
    ['--json', '--config', '/nonexistent/lifeboat.yml', 'list'],
    ['list', '--config=/nonexistent/lifeboat.yml', '--json'],
  ];
  for (const words of asked) {
    const { json, code } = await cli(...words);
    assert.equal(code, 4);
    assert.equal((json['error'] as { place: string }).place, '/nonexistent/lifeboat.yml (from --config)');
  }
});

test('usage: what stands behind "--" is an argument, whatever it looks like', async () => {
  const { err, code } = await cli('show', '--config', '/nonexistent/lifeboat.yml', '--', '--json');
  assert.equal(code, 4);
  assert.match(err, /^lifeboat: configuration \/nonexistent\/lifeboat.yml does not exist/);
});

test('Ctrl-C ends a wait at once, also one that begins after it', async () => {
  const controller = new AbortController();
  const never = new Promise<never>(() => undefined);
  const waiting = unlessInterrupted(never, controller.signal);
  controller.abort();
  const isStop = (error: unknown): boolean => error instanceof Stop && reportOf(error).exitCode === 130;
  await assert.rejects(waiting, isStop);
  await assert.rejects(
    unlessInterrupted(Promise.reject(failure('Bug', 'too late to matter')), controller.signal),
    isStop,
  );
  assert.equal(await unlessInterrupted(Promise.resolve(1), new AbortController().signal), 1);
});
