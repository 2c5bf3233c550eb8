import { describe, expect, it } from 'vitest';
import { resolveOptions, storageOptions, storageSchema } from '../../../../src/data/storage/options.js';
import { ConfigError } from '../../../../src/errors.js';

describe('storage options', () => {
  it('have the defaults of the configuration', () => {
    const { onWarning: _, cacheDir, ...rest } = resolveOptions();
    expect(cacheDir).toMatch(/\/blocks$/);
    expect(rest).toEqual({
      cacheMiB: 10_240,
      unpackedMiB: 102_400,
      readAheadMiB: 8,
      tries: 6,
      retryDelaySeconds: 0.5,
      timeoutSeconds: 30,
      s3: { anonymous: false },
    });
  });

  it('come out of a section of a configuration, without what it leaves to the environment', () => {
    const section = storageSchema.parse({
      cacheDir: '/c',
      tries: 2,
      s3: { endpoint: 'http://x', pathStyle: false },
    });
    const options = storageOptions(section);
    expect(options).toMatchObject({ cacheDir: '/c', tries: 2 });
    expect(options.s3).toEqual({ endpoint: 'http://x', pathStyle: false, anonymous: false });
    expect(resolveOptions(options)).toMatchObject(options);
  });

  it.each([
    [{ cacheMiB: 255 }, 'storage.cacheMiB is 255; it must be 0 or at least 256.'],
    [{ unpackedMiB: 0 }, 'storage.unpackedMiB is 0; it must be at least 1.'],
    [{ readAheadMiB: -1 }, 'storage.readAheadMiB is -1; it must be at least 0.'],
    [{ tries: 1.5 }, 'storage.tries is 1.5; it must be a whole number of at least 1.'],
    [{ timeoutSeconds: 0 }, 'storage.timeoutSeconds is 0; it must be above 0.'],
  ])('out of bounds are named: %o', (options, message) => {
    expect(() => resolveOptions(options)).toThrow(new ConfigError(message));
  });
});
