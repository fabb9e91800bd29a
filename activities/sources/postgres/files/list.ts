import type { ListedFile } from '../../../../workflows/model/contents.ts';
import type { Manifest } from '../../../../workflows/model/manifest.ts';
import { pathOf } from './paths.ts';

/** Files as a restore would make them, in the order of the manifest; folders and links among them. */
export function* listedFiles(manifest: Manifest): Iterable<ListedFile> {
  const isIncrement = manifest.kind !== 'full';
  for (const tree of manifest.trees) {
    for (const file of tree.files) {
      const { path, changed } = pathOf(tree, file, isIncrement);
      const { type, bytes, mtime } = file;
      yield { path, type, bytes, mtime, ...(changed ? { changed } : {}) };
    }
  }
}
