import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { SWITCHES } from '../../activities/switches/index.ts';

test('every kind of switch has a place where the contract suite tries it', async () => {
  for (const { kind } of SWITCHES) {
    const path = new URL(`./switch-${kind}.test.ts`, import.meta.url);
    const text = await readFile(path, 'utf8').catch(() => '');
    assert.match(text, new RegExp(`switchContract\\(\\s*'${kind}'`), `test/contract/switch-${kind}.test.ts`);
  }
});
