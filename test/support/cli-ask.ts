import assert from 'node:assert/strict';
import type { CliWorld } from './cli-world.ts';

/** The one object of a command that did well. */
export async function ask<T>(world: CliWorld, ...words: string[]): Promise<T> {
  const said = await world.cli([...words, '--json']);
  assert.equal(said.code, 0, `${words.join(' ')}: ${said.out}${said.err}`);
  assert.equal(said.out.trimEnd().split('\n').length, 1, 'one object and nothing else');
  assert.equal(said.json['ok'], true);
  assert.equal(said.json['exitCode'], 0);
  return said.json as T;
}

/** What a command that did well tells a person. */
export async function lines(world: CliWorld, ...words: string[]): Promise<string> {
  const said = await world.cli(words);
  assert.equal(said.code, 0, `${words.join(' ')}: ${said.err}`);
  return said.out;
}

/** Looks again and again until there is an answer. */
export async function until<T>(what: string, look: () => Promise<T | undefined | void>): Promise<T> {
  for (let looks = 0; looks < 600; looks++) {
    const answer = await look();
    if (answer !== undefined) return answer as T;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`never happened: ${what}`);
}
