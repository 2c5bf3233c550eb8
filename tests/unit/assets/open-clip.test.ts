import { describe, expect, it } from 'vitest';
import { parseNames, parseTemplates } from '../../../src/assets/open-clip.js';

const source = `
# A comment with a 'quote'.
FEW = (
    lambda c: f'one {c}.',
)

TEMPLATES = (
    lambda c: f'a drawing of a {c}.',
    lambda c: f"the {c}'s picture",  # not ')' yet
    lambda c: f'({c}), \\'quoted\\'',
)

NAMES = (
    "tench", "kite (bird)", 'jack-o\\'-lantern',
    "worm # not a comment"
)
`;

describe('templates and class names out of Python source', () => {
  it('reads templates with their field', () => {
    expect(parseTemplates(source, 'TEMPLATES', 3)).toEqual([
      'a drawing of a {c}.',
      "the {c}'s picture",
      "({c}), 'quoted'",
    ]);
  });

  it('reads names', () => {
    expect(parseNames(source, 'NAMES', 4)).toEqual([
      'tench',
      'kite (bird)',
      "jack-o'-lantern",
      'worm # not a comment',
    ]);
  });

  it('refuses another count, a missing or unfinished tuple, and strings that are no templates', () => {
    expect(() => parseNames(source, 'NAMES', 1000)).toThrow('NAMES has 4 entries, 1000 expected');
    expect(() => parseTemplates(source, 'NONE', 80)).toThrow('has no tuple NONE');
    expect(() => parseNames("OPEN = ('a',", 'OPEN', 1)).toThrow('OPEN does not end');
    expect(() => parseTemplates(source, 'NAMES', 4)).toThrow("'tench' is not a template");
    expect(() => parseTemplates("T = (lambda c: f'{c} {d}',)", 'T', 1)).toThrow('is not a template');
    expect(() => parseNames("T = ('a\\x41',)", 'T', 1)).toThrow('unknown escape');
  });
});
