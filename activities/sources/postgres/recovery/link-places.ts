import { join } from 'node:path';
import { failure } from '../../../../workflows/model/failure.ts';
import type { FileEntry, FileTree, MatchedSettings } from '../../../../workflows/model/manifest.ts';
import type { PartialPlan } from '../../../../workflows/model/partial.ts';
import type { RecoveryPlan } from '../../../../workflows/model/recovery.ts';
import { CONFIG_TREE } from '../backup/config-files.ts';
import { SERVER_MANIFEST } from '../backup/parent-manifest.ts';
import type { Link } from './chain.ts';
import { changedFile, changedFiles, fileKey, inPlaceFolder } from './changed-file.ts';
import type { BlockSizes } from './increment-file.ts';
import { leavesOut } from './left-out.ts';
import type { FilePlace, PlaceOf } from './parts.ts';
import { placeOf } from './place.ts';

/** A data directory without it cannot be started, so it comes last and by rename. */
export const CONTROL_FILE = 'global/pg_control';
export const STAGED = '.lifeboat-new';
/** That of a cluster which is being restored in place: it says whose files these are, and cannot be started with. */
export const OLD_CONTROL_FILE = `${CONTROL_FILE}.lifeboat-old`;

/** Folder that a tree is restored to; undefined for one that the newest point does not have. */
export function rootOf(plan: RecoveryPlan, tree: Pick<FileTree, 'id' | 'location'>): string | undefined {
  const folder = inPlaceFolder(tree);
  if (folder !== undefined) return join(plan.into, folder);
  if (tree.id === 'base') return plan.into;
  // For a person to take from: a restored copy runs with settings of its own.
  if (tree.id === CONFIG_TREE) return join(placeOf(plan).work, CONFIG_TREE);
  return plan.tablespaces[tree.id];
}

/** What a restore makes of a file of a point: itself, changes of an older file, or no more than its size. */
export type FileUse = { as: 'file' | 'changes' | 'size'; path: string };

/**
 * What files of a point are wanted for. Of one that others stand on, only the files whose blocks the next one changes are of
 * any use: everything else comes whole with it, or is gone.
 */
export function usesOf(
  { reader, next }: Link,
  partial: PartialPlan | undefined,
): (tree: FileTree, file: FileEntry) => FileUse | undefined {
  const { manifest } = reader;
  const wanted = next && changedFiles(next.manifest.trees);
  const isIncrement = manifest.kind !== 'full';
  const isHollow = leavesOut(partial);
  return (tree, file) => {
    const changed = isIncrement ? changedFile(tree, file) : undefined;
    const path = changed ?? file.path;
    if (wanted ? !wanted.has(fileKey(tree, path)) : isLeftOut(isIncrement, tree, path)) return undefined;
    if (file.type !== 'file' || !isHollow(tree, path)) return { as: changed === undefined ? 'file' : 'changes', path };
    // What is changed stands there from an older point, in a size that nobody will ever look at.
    return changed === undefined ? { as: 'size', path } : undefined;
  };
}

/** Where the files of a point go. */
export function placesOf(plan: RecoveryPlan, link: Link): PlaceOf {
  const { manifest } = link.reader;
  const sizes = sizesOf(manifest.settings);
  const increments = join(placeOf(plan).increments, manifest.point);
  const useOf = usesOf(link, plan.partial);
  return (tree, file): FilePlace | undefined => {
    const use = useOf(tree, file);
    if (!use) return undefined;
    const root = rootOf(plan, tree);
    if (root === undefined) {
      if (link.next) return undefined;
      throw failure('Bug', `plan names no place for tablespace ${tree.id}`);
    }
    const path = join(root, use.path);
    if (use.as === 'size') return { path, hollow: true };
    if (use.as === 'file') return { path: path + stagedSuffix(tree, use.path) };
    return { path, increment: { ...sizes, staged: join(increments, tree.id, file.path) } };
  };
}

/** The server's list of an increment's files says nothing of the cluster that it is a part of. */
function isLeftOut(isIncrement: boolean, tree: FileTree, path: string): boolean {
  return isIncrement && tree.id === 'base' && path === SERVER_MANIFEST;
}

function stagedSuffix(tree: FileTree, path: string): string {
  return tree.id === 'base' && path === CONTROL_FILE ? STAGED : '';
}

const USUAL: BlockSizes = { blockBytes: 8192, segmentBlocks: 131_072 };

export function sizesOf(settings: MatchedSettings): BlockSizes {
  const { block_size: blockBytes, segment_size: segmentBlocks } = settings as Record<string, string | undefined>;
  return {
    blockBytes: Number(blockBytes ?? USUAL.blockBytes),
    segmentBlocks: Number(segmentBlocks ?? USUAL.segmentBlocks),
  };
}
