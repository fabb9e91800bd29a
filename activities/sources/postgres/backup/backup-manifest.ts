import { createHash } from 'node:crypto';
import { failure } from '../../../../workflows/model/failure.ts';

/** The server's own list of files (manual 69, "Backup Manifest Format"): path -> size and CRC-32C. */
export type ServerManifest = Map<string, { bytes: number; crc32c: number }>;

interface ManifestFile {
  Path?: string;
  'Encoded-Path'?: string;
  Size: number;
  Checksum?: string;
}

/** Integrity when its own checksum does not fit. */
export function parseServerManifest(content: Buffer): ServerManifest {
  const lastLine = content.lastIndexOf('"Manifest-Checksum"');
  const parsed = parse(content);
  const found = createHash('sha256').update(content.subarray(0, lastLine)).digest('hex');
  if (found !== parsed['Manifest-Checksum']) {
    throw failure('Integrity', 'backup manifest of the server does not fit its checksum', {
      expected: parsed['Manifest-Checksum'],
      found,
    });
  }
  return new Map(parsed.Files.map((file) => [pathOf(file), { bytes: file.Size, crc32c: checksumOf(file) }]));
}

function parse(content: Buffer): { Files: ManifestFile[]; 'Manifest-Checksum': string } {
  try {
    return JSON.parse(content.toString('utf8')) as { Files: ManifestFile[]; 'Manifest-Checksum': string };
  } catch (error) {
    throw failure('Integrity', 'backup manifest of the server is cut', {
      found: `${content.length} bytes`,
      cause: error,
    });
  }
}

function pathOf(file: ManifestFile): string {
  return file.Path ?? Buffer.from(file['Encoded-Path'] ?? '', 'hex').toString('utf8');
}

/** The server writes the checksum's bytes as they lie in its memory: little endian. */
function checksumOf(file: ManifestFile): number {
  return file.Checksum === undefined || file.Checksum === '' ? 0 : Buffer.from(file.Checksum, 'hex').readUInt32LE();
}
