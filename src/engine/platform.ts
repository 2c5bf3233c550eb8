import type { TensorflowPlatform } from '../assets/index.js';
import { EngineError } from '../errors.js';

/** Oldest glibc that the pinned wheels run on (their tag is manylinux_2_27). */
export const MIN_GLIBC = '2.27';

/** Version of the C library that this Node runs on; undefined where it is not glibc (musl, macOS). */
export function glibcVersion(): string | undefined {
  const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined;
  return report?.header?.glibcVersionRuntime;
}

/**
 * The platform's name, if TensorFlow runs on it.
 *
 * @throws EngineError that says what this machine is and what would do.
 */
export function requirePlatform(
  platform: string = process.platform,
  arch: string = process.arch,
  glibc: string | undefined = glibcVersion(),
): TensorflowPlatform {
  const name = `${platform}-${arch}`;
  if (name === 'darwin-arm64') return name;
  if (name !== 'linux-x64' && name !== 'linux-arm64') {
    throw new EngineError(
      `TensorFlow is not built for ${name}, only for linux-x64, linux-arm64 and darwin-arm64. ` +
        'On Windows use the Linux subsystem (WSL 2); on an Intel Mac, a Linux container.',
    );
  }
  if (!glibc) {
    throw new EngineError(
      `This system's C library is not glibc (musl, as in Alpine?), and TensorFlow needs glibc ${MIN_GLIBC} or ` +
        'later. Use a distribution or container image with glibc, such as Debian, Ubuntu or Fedora.',
    );
  }
  if (isOlder(glibc, MIN_GLIBC)) {
    throw new EngineError(
      `glibc ${glibc} is too old: TensorFlow needs ${MIN_GLIBC} or later (Debian 10, Ubuntu 18.04, RHEL 8 or ` +
        'newer). Use a newer distribution or a container with one.',
    );
  }
  return name;
}

function isOlder(version: string, minimum: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [minMajor = 0, minMinor = 0] = minimum.split('.').map(Number);
  return major < minMajor || (major === minMajor && minor < minMinor);
}
