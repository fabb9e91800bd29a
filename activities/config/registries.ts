import { NOTIFIERS } from '../notifiers/index.ts';
import { SOURCES } from '../sources/index.ts';
import { STORES } from '../stores/index.ts';
import { SWITCHES } from '../switches/index.ts';
import type { Registries } from './schema.ts';

export const REGISTRIES: Registries = { stores: STORES, sources: SOURCES, notifiers: NOTIFIERS, switches: SWITCHES };
