import { SingleBar } from 'cli-progress';
import { type AssetProgress, formatBytes, setAssetProgressListener } from '../assets/index.js';

/** A terminal or a log file: what progress is written to. */
export type ProgressStream = NodeJS.WritableStream & { readonly isTTY?: boolean };

const steps: Readonly<Record<AssetProgress['step'], string>> = {
  damaged: 'damaged',
  resolve: 'asking pip',
  download: 'downloading',
  verify: 'checking',
  extract: 'unpacking',
  wait: 'waiting',
  finished: 'finished',
  failed: 'failed',
};

/**
 * Shows the fetching of assets on `stream` (standard error): a bar on a terminal, one line per step elsewhere.
 * Call once when the program starts; nothing is shown until something is fetched.
 */
export function showAssetProgress(stream: ProgressStream = process.stderr): void {
  setAssetProgressListener(stream.isTTY ? barListener(stream) : lineListener(stream));
}

function barListener(stream: ProgressStream): (progress: AssetProgress) => void {
  let bar: SingleBar | undefined;
  let current = '';
  return (progress) => {
    const key = `${progress.step} ${progress.file}`;
    if (key !== current) {
      bar?.stop();
      bar = undefined;
      current = key;
      if (isEvent(progress)) {
        stream.write(lineOf(progress));
        return;
      }
      // A bar that goes on keeps the process from ending.
      if (progress.step === 'failed') return;
      bar = new SingleBar({
        stream,
        format: `${progress.title}: {step} {file} {bar} {percentage}% {size} {eta_formatted}`,
        barsize: 24,
        clearOnComplete: true,
        hideCursor: true,
        etaBuffer: 50,
      });
      bar.start(progress.total, progress.done, payload(progress));
    }
    bar?.update(progress.done, payload(progress));
  };
}

/** What is said in a line, and has no course. */
function isEvent({ step }: AssetProgress): boolean {
  return step === 'wait' || step === 'finished' || step === 'damaged';
}

function payload(progress: AssetProgress): Record<string, string> {
  return {
    step: steps[progress.step],
    file: progress.file,
    size: `${formatBytes(progress.done)}/${formatBytes(progress.total)}`,
  };
}

function lineListener(stream: ProgressStream): (progress: AssetProgress) => void {
  let current = '';
  return (progress) => {
    const key = `${progress.step} ${progress.file}`;
    if (key === current) return;
    current = key;
    if (progress.step !== 'failed') stream.write(lineOf(progress));
  };
}

function lineOf({ title, step, file, total }: AssetProgress): string {
  if (step === 'finished') return `${title}: ready\n`;
  if (step === 'damaged') return `${file} It is fetched anew.\n`;
  if (step === 'wait') return `${title}: waiting for ${file}, which is fetching it\n`;
  return `${title}: ${steps[step]} ${file} (${formatBytes(total)})\n`;
}
