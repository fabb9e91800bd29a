import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';

/** PEM of a certificate that signed itself, and of its key. */
export interface Certificate {
  cert: string;
  key: string;
}

const OID = {
  ecdsaSha256: '2a8648ce3d040302',
  commonName: '550403',
  subjectAltName: '551d11',
  basicConstraints: '551d13',
};

/** Made here because no tool for it can be counted on. `name` is a DNS name or an IPv4 address (RFC 5280). */
export function selfSigned(name: string, validUntil = '20991231235959Z'): Certificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const algorithm = sequence(oid(OID.ecdsaSha256));
  const who = sequence(der(0x31, sequence(oid(OID.commonName), der(0x0c, Buffer.from('lifeboat test')))));
  const validity = sequence(time('20200101000000Z'), time(validUntil));
  const body = sequence(
    ...[der(0xa0, der(0x02, Buffer.from([2]))), der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)]))],
    ...[algorithm, who, validity, who, publicKey.export({ type: 'spki', format: 'der' })],
    der(0xa3, sequence(extension(OID.subjectAltName, sequence(altName(name))), authority())),
  );
  const signature = Buffer.concat([Buffer.from([0]), sign('sha256', body, privateKey)]);
  const whole = sequence(body, algorithm, der(0x03, signature));
  return { cert: pem(whole), key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

function altName(name: string): Buffer {
  return isIP(name) === 4 ? der(0x87, Buffer.from(name.split('.').map(Number))) : der(0x82, Buffer.from(name));
}

function authority(): Buffer {
  return extension(OID.basicConstraints, sequence(der(0x01, Buffer.from([0xff]))));
}

function extension(name: string, value: Buffer): Buffer {
  return sequence(oid(name), der(0x04, value));
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, 'hex'));
}

function time(text: string): Buffer {
  return der(0x18, Buffer.from(text));
}

function sequence(...parts: Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts));
}

function der(tag: number, body: Buffer): Buffer {
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  // DER wants the shortest form of a length, and Go insists.
  const length = body.length < 0x100 ? [0x81, body.length] : [0x82, body.length >> 8, body.length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
}

function pem(bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}
