import type { TarEntry } from '../../activities/sources/postgres/backup/tar.ts';

export interface Member extends TarEntry {
  content: Buffer;
}

const CODES = { file: '0', directory: '5', symlink: '2' };

/** A member as PostgreSQL's tarCreateHeader writes it (src/port/tar.c), content and padding after it. */
export function tarMember(
  member: Partial<Member> & { path: string },
  changes: (header: Buffer) => void = () => {},
): Buffer {
  const { type = 'file', content = Buffer.alloc(0), mode = 0o600, mtimeMs = 0, target = '' } = member;
  const header = Buffer.alloc(512);
  header.write(member.path, 0);
  number(header, { at: 100, length: 8, value: mode });
  number(header, { at: 124, length: 12, value: member.bytes ?? content.length });
  number(header, { at: 136, length: 12, value: Math.floor(mtimeMs / 1000) });
  header.write(CODES[type], 156);
  header.write(target, 157);
  header.write('ustar\u000000', 257, 'latin1');
  changes(header);
  header.fill(' ', 148, 156);
  number(header, { at: 148, length: 8, value: header.reduce((total, byte) => total + byte, 0) });
  return Buffer.concat([header, content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}

export const TAR_END = Buffer.alloc(1024);

/** Octal with a space behind while it fits, else base 256 with the first bit set: print_tar_number. */
function number(header: Buffer, field: { at: number; length: number; value: number }): void {
  const { at, length, value } = field;
  if (value < 8 ** (length - 1)) {
    header.write(`${value.toString(8).padStart(length - 1, '0')} `, at, 'latin1');
    return;
  }
  header[at] = 0x80;
  for (let place = length - 1, rest = value; place > 0; place--, rest = Math.floor(rest / 256))
    header[at + place] = rest % 256;
}
