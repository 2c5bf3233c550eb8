import type { LookupAddress } from 'node:dns';
import { describe, expect, it } from 'vitest';
import { checkUrl, isPublicAddress, publicLookup } from '../../../../src/data/download/addresses.js';

describe('isPublicAddress', () => {
  it.each(['8.8.8.8', '93.184.215.14', '172.15.0.1', '172.32.0.1', '2606:4700::1111', '2a00:1450:4001::1'])(
    'takes %s',
    (address) => expect(isPublicAddress(address)).toBe(true),
  );

  it.each([
    '127.0.0.1',
    '127.255.0.9',
    '0.0.0.0',
    '10.1.2.3',
    '100.64.0.1',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '198.18.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '::1',
    '::',
    'fe80::1',
    'fc00::1',
    'fd12:3456::1',
    'ff02::1',
    '::ffff:127.0.0.1',
    '::ffff:8.8.8.8',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    '2001:0:1::1',
    '2001:db8::1',
  ])('refuses %s', (address) => expect(isPublicAddress(address)).toBe(false));
});

describe('checkUrl', () => {
  it.each([
    'file:///etc/passwd',
    'data:image/png;base64,AA',
    'ftp://example.org/a.jpg',
    'javascript:alert(1)',
  ])('refuses the scheme of %s', (url) =>
    expect(() => checkUrl(new URL(url), true)).toThrow(expect.objectContaining({ reason: 'bad-url' })),
  );

  // Other ways to write 127.0.0.1, 169.254.169.254 and ::1.
  it.each([
    'http://127.1/',
    'http://2130706433/',
    'http://0x7f.0.0.1/',
    'http://[::1]/',
    'http://[::ffff:7f00:1]/',
    'http://0xa9fea9fe/',
  ])('refuses %s unless private addresses are allowed', (url) => {
    expect(() => checkUrl(new URL(url), false)).toThrow(
      expect.objectContaining({ reason: 'private-address' }),
    );
    expect(() => checkUrl(new URL(url), true)).not.toThrow();
  });
});

describe('publicLookup', () => {
  const ask = (lookup: ReturnType<typeof publicLookup>, name: string, all = true): Promise<unknown> =>
    new Promise((resolve, reject) =>
      lookup(name, { all }, (error, found) => (error ? reject(error) : resolve(found))),
    );
  const answers: Readonly<Record<string, LookupAddress[]>> = {
    'good.example': [{ address: '93.184.215.14', family: 4 }],
    'evil.example': [{ address: '169.254.169.254', family: 4 }],
    'mixed.example': [
      { address: '10.0.0.1', family: 4 },
      { address: '93.184.215.14', family: 4 },
    ],
  };
  const fake = () => {
    const asked: string[] = [];
    const resolve = async (name: string): Promise<LookupAddress[]> => {
      asked.push(name);
      const found = answers[name];
      if (found === undefined)
        throw Object.assign(new Error(name), { code: name === 'down.example' ? 'ESERVFAIL' : 'ENOTFOUND' });
      return found;
    };
    return { asked, resolve };
  };

  it('hands out public addresses, and asks once for each name', async () => {
    const { asked, resolve } = fake();
    const lookup = publicLookup(resolve, false);
    expect(await ask(lookup, 'good.example')).toEqual(answers['good.example']);
    expect(await ask(lookup, 'good.example', false)).toBe('93.184.215.14');
    expect(await ask(lookup, 'mixed.example')).toEqual(answers['good.example']);
    expect(asked).toEqual(['good.example', 'mixed.example']);
  });

  it('refuses a name that stands for a private address', async () => {
    const { resolve } = fake();
    await expect(ask(publicLookup(resolve, false), 'evil.example')).rejects.toThrow(
      'evil.example is 169.254.169.254, which is no public address',
    );
    expect(await ask(publicLookup(resolve, true), 'evil.example')).toEqual(answers['evil.example']);
  });

  it('remembers that a name is not there, but not that a server did not answer', async () => {
    const { asked, resolve } = fake();
    const lookup = publicLookup(resolve, false);
    for (const name of ['gone.example', 'gone.example', 'down.example', 'down.example']) {
      await ask(lookup, name).catch(() => undefined);
    }
    expect(asked).toEqual(['gone.example', 'down.example', 'down.example']);
  });
});
