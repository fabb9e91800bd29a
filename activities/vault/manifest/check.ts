import type { FileEntry, FileSlice, FileTree, Manifest, PartRef } from '../../../workflows/model/manifest.ts';
import { DUMP_TREE } from '../../../workflows/model/dump.ts';
import { crc32cCombine } from '../../io/crc32c.ts';
import { wrongEntry } from './file-entry.ts';
import { manifestSchema } from './schema.ts';

/**
 * What is wrong with a manifest, in a few words: first what the schema says, then what it cannot say (names fit the place,
 * parts are 1 to n, every slice lies in a part, files are complete, no path twice and none through a link).
 */
export function checkManifest(
  content: unknown,
  at: { source: string; point: string },
): { manifest: Manifest } | { wrong: string } {
  const parsed = manifestSchema.safeParse(content);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return { wrong: `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not a manifest'}` };
  }
  const manifest = parsed.data;
  const wrong =
    firstWrongEntry(manifest.trees) ??
    wrongName(manifest, at) ??
    wrongParent(manifest) ??
    wrongForm(manifest) ??
    wrongParts(manifest.parts) ??
    firstOf(manifest.trees, manifest.parts);
  return wrong === undefined ? { manifest } : { wrong };
}

function firstWrongEntry(trees: FileTree[]): string | undefined {
  for (const [tree, { files }] of trees.entries()) {
    for (const [index, file] of files.entries()) {
      const wrong = wrongEntry(file);
      if (wrong !== undefined) return `trees.${tree}.files.${index}${wrong}`;
    }
  }
  return undefined;
}

function wrongName(manifest: Manifest, at: { source: string; point: string }): string | undefined {
  if (manifest.point === at.point && manifest.source === at.source) return undefined;
  return `manifest of ${manifest.source}/${manifest.point}`;
}

function wrongParent({ kind, parent, point }: Manifest): string | undefined {
  if (kind === 'full') return parent === undefined ? undefined : `a full point with the parent ${parent}`;
  return parent === undefined || parent === point ? `a point of kind ${kind} without a parent` : undefined;
}

function wrongForm(manifest: Manifest): string | undefined {
  return wrongDump(manifest) ?? wrongForensic(manifest);
}

/** A dump taken for a cluster, or a cluster for a dump, would be restored as what it is not. */
function wrongDump({ dump, consistency, trees }: Manifest): string | undefined {
  if ((dump !== undefined) !== (consistency === 'consistent')) return 'a dump that says it needs WAL, or the reverse';
  if (!dump) return undefined;
  const held = new Set(
    trees.filter(({ id }) => id === DUMP_TREE).flatMap(({ files }) => files.map(({ path }) => path)),
  );
  const wanted = dump.databases.flatMap(({ schemaFile, dataFiles }) => [schemaFile, ...dataFiles]);
  const absent = wanted.find((path) => !held.has(path));
  return absent === undefined ? undefined : `${absent} is not among the files of the dump`;
}

/** Evidence that somebody takes for a backup would be restored as one. */
function wrongForensic({ forensic, consistency, kind }: Manifest): string | undefined {
  if ((forensic !== undefined) !== (consistency === 'forensic'))
    return 'a forensic copy that does not say so everywhere';
  return forensic && kind !== 'full' ? `a forensic copy of kind ${kind}` : undefined;
}

function wrongParts(parts: PartRef[]): string | undefined {
  const misplaced = parts.findIndex((part, index) => part.number !== index + 1);
  return misplaced >= 0 ? `part ${misplaced + 1} of ${parts.length} is not listed` : undefined;
}

function firstOf(trees: FileTree[], parts: PartRef[]): string | undefined {
  if (new Set(trees.map((tree) => tree.id)).size !== trees.length) return 'two trees of one name';
  for (const tree of trees) {
    const wrong = wrongPaths(tree) ?? firstWrongFile(tree, parts);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

function wrongPaths(tree: FileTree): string | undefined {
  const paths = new Set<string>();
  const links = new Set<string>();
  for (const { path, type } of tree.files) {
    if (paths.has(path)) return `${path} twice in ${tree.id}`;
    paths.add(path);
    if (type !== 'directory') links.add(path);
  }
  for (const path of paths) {
    for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) {
      // A restore that follows it would write outside its folder.
      if (links.has(path.slice(0, at))) return `${path} stands below what is no directory`;
    }
  }
  return undefined;
}

function firstWrongFile(tree: FileTree, parts: PartRef[]): string | undefined {
  for (const file of tree.files) {
    const wrong = file.type === 'file' ? wrongFile(file, parts) : wrongOther(file);
    if (wrong !== undefined) return `${file.path} ${wrong}`;
  }
  return undefined;
}

function wrongOther(file: FileEntry): string | undefined {
  if ((file.slices?.length ?? 0) > 0) return 'has content and is no file';
  return file.type === 'symlink' && !file.target ? 'is a link to nothing' : undefined;
}

function isOutside({ part, at, bytes }: FileSlice, parts: PartRef[]): boolean {
  return at + bytes > (parts[part - 1]?.bytes ?? -1);
}

function wrongFile(file: FileEntry, parts: PartRef[]): string | undefined {
  let bytes = 0;
  let crc = 0;
  const strange = file.sums?.find((slice) => isOutside(slice, parts));
  if (strange) return `has sums that reach outside part ${strange.part}`;
  for (const slice of file.slices ?? []) {
    if (isOutside(slice, parts)) return `reaches outside part ${slice.part}`;
    crc = bytes === 0 ? slice.crc32c : crc32cCombine(crc, slice.crc32c, slice.bytes);
    bytes += slice.bytes;
  }
  if (bytes !== file.bytes) return `has slices of ${bytes} bytes, not ${file.bytes}`;
  return crc === file.crc32c ? undefined : 'has a checksum that its slices do not add up to';
}
