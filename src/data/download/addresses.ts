/**
 * Which addresses may be connected to, and what the names of hosts stand for. A list is written by others, and whoever
 * owns a name decides what it resolves to: without a check a row could have this machine ask what only this machine may,
 * such as a cloud's metadata service or a neighbour's database. The check is of the very address that is connected to.
 */
import { type LookupAddress, lookup as systemLookup } from 'node:dns';
import { Resolver } from 'node:dns/promises';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { ImageFailure } from './failure.js';

/** Networks of IPv4 that are not public: IANA's special-purpose registry, multicast and what is reserved. */
const SPECIAL_V4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
];
/** Networks within 2000::/3, IPv6's public part, that are not: protocols, Teredo, documentation, 6to4. */
const SPECIAL_V6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'];

const special = listOf([...SPECIAL_V4, ...SPECIAL_V6]);
const publicV6 = listOf(['2000::/3']);

function listOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', bits] = network.split('/');
    list.addSubnet(address, Number(bits), isIP(address) === 6 ? 'ipv6' : 'ipv4');
  }
  return list;
}

/** Whether an IP address is one of the public internet. IPv4 that is wrapped in IPv6 is not. */
export function isPublicAddress(address: string): boolean {
  if (isIP(address) === 4) return !special.check(address, 'ipv4');
  return publicV6.check(address, 'ipv6') && !special.check(address, 'ipv6');
}

/** @throws ImageFailure unless the URL is of http or https and, if its host is an address, that is public. */
export function checkUrl(url: URL, allowPrivate: boolean): void {
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new ImageFailure('bad-url', `${url.protocol} is not fetched; expected http: or https:`);
  }
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (!allowPrivate && isIP(host) !== 0 && !isPublicAddress(host)) throw notPublic(host, host);
}

function notPublic(name: string, address: string): ImageFailure {
  const what = name === address ? address : `${name} is ${address}, which`;
  return new ImageFailure('private-address', `${what} is no public address`);
}

/** Finds the addresses of a name. @throws the resolver's error, whose code tells what is wrong */
export type Resolve = (name: string) => Promise<readonly LookupAddress[]>;

/** How long an answer is believed: servers of images seldom move, and lists name the same hosts over and over. */
const KEEP_MS = 300_000;
const MAX_KEPT = 100_000;
/** Codes by which the resolver says that it knows: the name is not there, or has no such address. */
const KNOWN_ABSENT: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA']);

/**
 * Resolves by asking the system's name servers directly: the system's own call holds one of libuv's few threads, which
 * are to decode images. Names without a dot and `localhost` are the system's own, and so is everything where no server
 * can be asked.
 */
export function systemResolve(): Resolve {
  const resolver = new Resolver({ timeout: 5_000, tries: 2 });
  return async (name) => {
    if (!name.includes('.') || /(^|\.)localhost$/.test(name)) return bySystem(name);
    try {
      return (await resolver.resolve4(name)).map((address) => ({ address, family: 4 }));
    } catch (error) {
      if (!KNOWN_ABSENT.has(codeOf(error))) return bySystem(name);
    }
    return (await resolver.resolve6(name)).map((address) => ({ address, family: 6 }));
  };
}

function bySystem(name: string): Promise<LookupAddress[]> {
  return new Promise((resolve, reject) => {
    systemLookup(name, { all: true }, (error, addresses) => (error ? reject(error) : resolve(addresses)));
  });
}

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? '';

/**
 * A `lookup` for Node's http that hands out public addresses only, unless `allowPrivate`, and remembers what it found
 * and did not find.
 */
export function publicLookup(resolve: Resolve, allowPrivate: boolean): LookupFunction {
  const kept = new Map<
    string,
    { readonly found: Promise<readonly LookupAddress[]>; readonly until: number }
  >();
  const find = (name: string): Promise<readonly LookupAddress[]> => {
    const known = kept.get(name);
    if (known !== undefined && known.until > performance.now()) return known.found;
    const found = resolve(name).then((addresses) => {
      const usable = allowPrivate ? addresses : addresses.filter(({ address }) => isPublicAddress(address));
      if (usable.length === 0) throw notPublic(name, addresses[0]?.address ?? 'nothing');
      return usable;
    });
    if (kept.size >= MAX_KEPT) kept.delete(kept.keys().next().value as string);
    kept.delete(name);
    kept.set(name, { found, until: performance.now() + KEEP_MS });
    // A server that was not reached is asked again; a name that is not there stays so.
    found.catch((error: unknown) => {
      if (!KNOWN_ABSENT.has(codeOf(error)) && !(error instanceof ImageFailure)) kept.delete(name);
    });
    return found;
  };
  return (name, options, callback) => {
    find(name).then(
      (addresses) => {
        const [first] = addresses as readonly [LookupAddress];
        if (options.all === true) callback(null, [...addresses]);
        else callback(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, ''),
    );
  };
}
