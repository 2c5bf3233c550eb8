import { expect, it } from 'vitest';
import { findOptOut, productOf } from '../../../../src/data/download/opt-out.js';

const robots = (...lines: string[]) => findOptOut({ 'x-robots-tag': lines }, 'mybot');

it.each([
  ['noai'],
  ['NOAI, noimageai'],
  ['nofollow, noindex'],
  ['noimageindex'],
  ['none'],
  ['mybot: noai'],
  ['*: noai'],
  ['img2dataset: noimageai'],
  ['otherbot: nofollow, mybot: noindex'],
  // img2dataset takes the date's colon for the end of a crawler's name.
  ['noindex, unavailable_after: 25 Jun 2030 15:00:00 PST'],
  ['unavailable_after: 25 Jun 2030 15:00:00 PST, noai'],
  ['nofollow', 'noai'],
])('%j is an opt-out', (...lines) => {
  expect(robots(...lines)).toBe(`X-Robots-Tag: ${lines.at(-1)}`);
});

it.each([
  ['all'],
  ['nofollow'],
  ['otherbot: noai'],
  ['otherbot: noindex, noai'],
  ['noaiplease'],
  ['max-image-preview: none'],
  [''],
])('%j is none', (...lines) => expect(robots(...lines)).toBeUndefined());

it('takes a reservation of text and data mining as one', () => {
  expect(findOptOut({ 'tdm-reservation': ['1'] }, 'x')).toBe('TDM-Reservation: 1');
  expect(findOptOut({ 'tdm-reservation': ['0'] }, 'x')).toBeUndefined();
  expect(findOptOut({}, 'x')).toBeUndefined();
});

it('finds the product in a User-Agent', () => {
  expect(productOf('MyBot/1.2 (+https://example.org)')).toBe('mybot');
  expect(productOf('plain')).toBe('plain');
});
