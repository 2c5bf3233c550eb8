import { describe, expect, it } from 'vitest';
import {
  comparePaths,
  expandBraces,
  globToRegExp,
  splitAtWildcard,
} from '../../../../src/data/storage/patterns.js';

describe('expandBraces', () => {
  it.each([
    ['a.tar', ['a.tar']],
    ['{008..011}.tar', ['008.tar', '009.tar', '010.tar', '011.tar']],
    ['x{8..10}', ['x8', 'x9', 'x10']],
    ['{2..0}', ['2', '1', '0']],
    ['{5..5}', ['5']],
    ['{b,a}.tar', ['b.tar', 'a.tar']],
    ['{a,b}-{0..1}', ['a-0', 'a-1', 'b-0', 'b-1']],
    ['{a{1..2},b}c', ['a1c', 'a2c', 'bc']],
    ['{a}{', ['{a}{']],
    ['{}{x,}', ['{}x', '{}']],
  ])('%s', (pattern, expanded) => {
    expect(expandBraces(pattern)).toEqual(expanded);
  });

  it('refuses a range that a typing error made endless', () => {
    expect(() => expandBraces('{0..99999999}')).toThrow(/more than 1000000 files/);
    expect(() => expandBraces('{0..9999}{0..9999}')).toThrow(/more than 1000000 files/);
  });
});

describe('globToRegExp', () => {
  it.each<[string, string[], string[]]>([
    ['*.tar', ['a.tar', '0-1.tar'], ['a.tar.gz', 'b/a.tar', '.a.tar', 'atar']],
    ['train-?[0-9].tar', ['train-x7.tar'], ['train-7.tar', 'train-xx.tar', 'train-/7.tar']],
    ['[!a]+(x).json', ['b+(x).json'], ['a+(x).json', 'bx.json']],
    ['**/*.json', ['a.json', 'b/a.json', 'c/b/a.json'], ['.git/a.json', 'a.jsonl']],
    ['a/**', ['a/b', 'a/b/c'], ['a', 'a/.b', 'b/a/c']],
    ['.hidden*', ['.hidden1'], ['hidden1']],
  ])('%s', (pattern, matching, others) => {
    const regExp = globToRegExp(pattern);
    expect(matching.filter((path) => !regExp.test(path))).toEqual([]);
    expect(others.filter((path) => regExp.test(path))).toEqual([]);
  });
});

it('splitAtWildcard keeps whole folders', () => {
  expect(splitAtWildcard('a/b/c*/d.tar')).toEqual({ base: 'a/b/', rest: 'c*/d.tar' });
  expect(splitAtWildcard('*.tar')).toEqual({ base: '', rest: '*.tar' });
  expect(splitAtWildcard('/x/*')).toEqual({ base: '/x/', rest: '*' });
});

it('comparePaths goes by code points, beyond the first 65,536 too', () => {
  const paths = ['\u{1f600}', '\uffee', 'b', 'a10', 'a9', 'B'];
  expect(paths.sort(comparePaths)).toEqual(['B', 'a10', 'a9', 'b', '\uffee', '\u{1f600}']);
});
