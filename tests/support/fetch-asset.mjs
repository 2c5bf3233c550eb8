// A process of its own that fetches the asset given as JSON and tells its parent what it did.
import { ensureAsset } from '../../dist/assets/index.js';

const steps = new Set();
const directory = await ensureAsset(JSON.parse(process.argv[2]), {
  onProgress: ({ step }) => steps.add(step),
});
process.send({ steps: [...steps], directory }, () => process.disconnect());
