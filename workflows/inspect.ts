import { failure } from './model/failure.ts';
import { hostQueue } from './model/names.ts';
import { checkOrder } from './model/order-check.ts';
import type { InspectOrder } from './model/orders.ts';
import type { InspectAnswer } from './model/results.ts';
import { quick } from './options.ts';

const SHAPES = {
  points: { 'what!': 'text', source: 'text' },
  point: { 'what!': 'text', source: 'text', 'point!': 'text' },
  wal: { 'what!': 'text', 'source!': 'text' },
  reachable: { 'what!': 'text', 'source!': 'text' },
  contents: {
    'what!': 'text',
    'source!': 'text',
    'point!': 'text',
    page: 'count',
    under: 'text',
    relations: 'flag',
    host: 'text',
  },
  forecast: { 'what!': 'text', source: 'text' },
  doctor: { 'what!': 'text' },
  notifiers: { 'what!': 'text', notifier: 'text' },
  'catalog-rebuild': { 'what!': 'text', source: 'text' },
} as const;

/** Answers a question that changes nothing. Input: {"what":"points"}, {"what":"wal","source":"shop"}, {"what":"doctor"}. */
export async function inspect(given: InspectOrder): Promise<InspectAnswer> {
  const what = (given as InspectOrder | null)?.what;
  if (what === undefined || !Object.hasOwn(SHAPES, what)) {
    throw failure('ConfigInvalid', 'order inspect.what is no question', {
      place: 'inspect.what',
      expected: Object.keys(SHAPES).join(', '),
      found: String(what),
      hint: 'start it with {"what":"points"}',
    });
  }
  const order = checkOrder<InspectOrder>('inspect', given, SHAPES[what]);
  const { host } = order as { host?: string };
  const on = host === undefined ? {} : { taskQueue: hostQueue(host) };
  return quick({ summary: `look at ${order.what}`, ...on }).inspectVault(order);
}
