import { describe, expect, it } from 'vitest';
import { describeFailure } from '../../../src/cli/failure.js';
import { ConfigError, DataError } from '../../../src/errors.js';

describe('describeFailure', () => {
  it('says only the message of an error thrown on purpose', () => {
    expect(describeFailure(new DataError('row 3 is damaged'), false)).toEqual({
      text: 'error: row 3 is damaged',
      exitCode: 1,
    });
    expect(describeFailure(new ConfigError('no such key'), false)).toEqual({
      text: 'error: no such key',
      exitCode: 2,
    });
  });

  it('adds stack and cause when asked to', () => {
    const { text, exitCode } = describeFailure(new DataError('outer', { cause: new Error('inner') }), true);
    expect(text).toMatch(/^DataError: outer\n {4}at .*\nCaused by: Error: inner\n {4}at /s);
    expect(exitCode).toBe(1);
  });

  it.each(['ENOSPC', 'EROFS', 'EACCES', 'ENOENT'])('says what to do about %s', (code) => {
    const error = Object.assign(new Error(`${code}: refused, mkdir 'x'`), { code });
    const { text, exitCode } = describeFailure(error, false);
    expect(text).toMatch(new RegExp(`^error: The system refused: ${code}: refused, mkdir 'x'\\. .*place`));
    expect(exitCode).toBe(1);
  });

  it('calls anything else a bug, with its stack', () => {
    const { text, exitCode } = describeFailure(new TypeError('x is not a function'), false);
    expect(text).toMatch(/^TypeError: x is not a function\n {4}at .*\nThis is a bug in capstan\./s);
    expect(exitCode).toBe(70);
    expect(describeFailure('thrown text', false).text).toMatch(/^thrown text\nThis is a bug/);
  });
});
