import { describe, expect, it } from 'vitest';
import { requirePlatform } from '../../../src/engine/platform.js';
import { EngineError } from '../../../src/errors.js';

describe('requirePlatform', () => {
  it.each([
    ['linux', 'x64', '2.27', 'linux-x64'],
    ['linux', 'x64', '2.39', 'linux-x64'],
    ['linux', 'arm64', '3.0', 'linux-arm64'],
    ['darwin', 'arm64', undefined, 'darwin-arm64'],
  ])('accepts %s %s with glibc %s', (platform, arch, glibc, expected) => {
    expect(requirePlatform(platform, arch, glibc)).toBe(expected);
  });

  it.each([
    ['linux', 'x64', '2.17', /glibc 2\.17 is too old: TensorFlow needs 2\.27 or later/],
    ['linux', 'x64', '2.9', /glibc 2\.9 is too old/],
    ['linux', 'ia32', '2.39', /not built for linux-ia32/],
    ['win32', 'x64', undefined, /not built for win32-x64.*WSL 2/],
    ['darwin', 'x64', undefined, /not built for darwin-x64.*Intel Mac/],
  ])('refuses %s %s with glibc %s', (platform, arch, glibc, message) => {
    expect(() => requirePlatform(platform, arch, glibc)).toThrow(EngineError);
    expect(() => requirePlatform(platform, arch, glibc)).toThrow(message);
  });

  it('refuses a C library that is not glibc', () => {
    expect(() => requirePlatform('linux', 'x64', '')).toThrow(/not glibc \(musl, as in Alpine\?\)/);
  });

  it('accepts the machine that runs the tests', () => {
    expect(requirePlatform()).toBe(`${process.platform}-${process.arch}`);
  });
});
