import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import wabt from 'wabt';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SOURCE = 'activities/sources/postgres/backup/local/page-checksum.wat';
const CODE = SOURCE.replace('.wat', '-code.ts');
const LINE = 100;

/** The module that carries a WebAssembly program as text: no file has to be found beside the code at run time. */
export async function assemble(): Promise<string> {
  const { parseWat } = await wabt();
  const program = parseWat(SOURCE, await readFile(join(ROOT, SOURCE), 'utf8'), { simd: true });
  program.validate();
  const base64 = Buffer.from(program.toBinary({}).buffer).toString('base64');
  const lines = base64.match(new RegExp(`.{1,${LINE}}`, 'g')) ?? [];
  const text = lines.map((line) => `  '${line}',`).join('\n');
  return `/** Made of page-checksum.wat by \`npm run assemble\`. */\nexport const PAGE_CHECKSUM_CODE = [\n${text}\n].join('');\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeFile(join(ROOT, CODE), await assemble());
