import { failure } from '../../../../workflows/model/failure.ts';
import type { ReplicationConnection } from '../../../io/postgres/replication.ts';
import { connectReplication, identifySystem } from '../../../io/postgres/replication.ts';
import type { Shipment } from './shipment.ts';

/**
 * A walsender of the cluster that SQL sessions reach; the caller closes it. A name or a balancer may lead each connection
 * to another server, and WAL of two clusters must never meet. Precondition when it is another cluster.
 */
export async function connectWalsender(
  { options, run }: Pick<Shipment, 'options' | 'run'>,
  systemId: string,
): Promise<ReplicationConnection> {
  const connection = await connectReplication(options.connection, run);
  try {
    const found = await identifySystem(connection);
    if (found.systemId !== systemId) throw otherCluster(connection.place, { expected: systemId, ...found });
    return connection;
  } catch (error) {
    await connection.close();
    throw error;
  }
}

function otherCluster(place: string, { expected, systemId }: { expected: string; systemId: string }): Error {
  return failure('Precondition', `postgres ${place} is another cluster than SQL sessions reach`, {
    place,
    expected: `system identifier ${expected}`,
    found: `system identifier ${systemId}`,
    hint: 'connect to one server, not to a pool or a load balancer: connection.host',
  });
}
