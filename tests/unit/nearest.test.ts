import { describe, expect, it } from 'vitest';
import { didYouMean, nearest } from '../../src/nearest.js';

describe('nearest', () => {
  it('finds a misspelt name and nothing for a foreign one', () => {
    expect(nearest('captoin', ['key', 'caption', 'alt'])).toBe('caption');
    expect(nearest('ALT', ['key', 'alt'])).toBe('alt');
    expect(nearest('zebra', ['key', 'image'])).toBeUndefined();
  });
});

describe('didYouMean', () => {
  it('asks for the nearest name, or nothing', () => {
    expect(didYouMean('lr', ['lr', 'eps'])).toBe("; did you mean 'lr'?");
    expect(didYouMean('afc', ['alt', 'key'])).toBe('');
  });
});
