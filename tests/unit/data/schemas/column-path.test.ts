import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { parsePath, valueAt } from '../../../../src/data/schemas/column-path.js';
import { ConfigError } from '../../../../src/errors.js';

const row = {
  id: 7,
  'a.b': 'dotted',
  turns: [
    { from: 'human', value: 'What?' },
    { from: 'gpt', value: 'This.' },
  ],
  meta: { size: { width: 3 }, tags: ['x', null] },
  bytes: new Uint8Array(2),
};
const read = (text: string) => valueAt(row, parsePath(text, Object.keys(row)));

describe('a path', () => {
  it('leads to a column or a value inside it', () => {
    expect(read('id')).toBe(7);
    expect(read('a.b')).toBe('dotted'); // a column's whole name comes before a field
    expect(read('turns[1].value')).toBe('This.');
    expect(read('turns[from=gpt].value')).toBe('This.');
    expect(read('meta.size.width')).toBe(3);
    expect(read('meta.tags[0]')).toBe('x');
  });

  it('leads nowhere where the row has nothing there', () => {
    for (const text of [
      'none',
      'turns[2].value',
      'turns[from=system].value',
      'turns.value',
      'id.value',
      'id[0]',
      'meta.constructor',
      'meta.tags[1]',
      'bytes.length',
      'bytes[0]',
    ]) {
      expect(read(text), text).toBeNull();
    }
  });

  it('hashes to a key', () => {
    const hash = createHash('sha256').update('This.').digest('hex');
    expect(read('sha256(turns[1].value)')).toBe(hash.slice(0, 32));
    expect(read('sha256(none)')).toBeNull();
  });

  it('is refused if it is none', () => {
    for (const text of ['', '.a', 'a.', 'a[x]', 'a[', 'a[1', 'a]', 'a[-1]', 'sha256()']) {
      expect(() => parsePath(text, ['b']), text).toThrow(ConfigError);
    }
    expect(() => parsePath('a[x]', ['b'])).toThrow(/'a\[x\]' names no column: expected a name, with \.field/);
  });
});
