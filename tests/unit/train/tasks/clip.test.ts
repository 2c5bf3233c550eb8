import { describe, expect, it } from 'vitest';
import type { Batch } from '../../../../src/data/loader.js';
import { CheckpointError } from '../../../../src/errors.js';
import { type ClipConfig, clipParamSpecs } from '../../../../src/models/clip/index.js';
import { KeyedRandom } from '../../../../src/rng.js';
import { ClipTask, type ClipTaskOptions } from '../../../../src/train/tasks/clip.js';
import { tf } from '../../../support/engine.js';

const config: ClipConfig = {
  embedDim: 8,
  vision: { imageSize: 8, patchSize: 4, width: 16, depth: 2, headWidth: 8, mlpRatio: 2 },
  text: { contextLength: 6, vocabSize: 20, width: 16, depth: 2, numHeads: 2, mlpRatio: 2 },
  quickGelu: false,
};

const options: ClipTaskOptions = {
  config,
  seed: 1,
  precision: 'fp32',
  optimizer: { beta1: 0.9, beta2: 0.98, eps: 1e-6, weightDecay: 0.2 },
  gradClipNorm: null,
  evalBatchSize: 4,
};

/** A batch of noise, the same for the same number. */
function batch(number: number): Batch {
  const random = new KeyedRandom('batch', number);
  const count = 4;
  const tokens = new Int32Array(count * 6);
  for (let i = 0; i < tokens.length; i++) tokens[i] = i % 6 === 5 ? 19 : random.int(18) + 1;
  return {
    images: Uint8Array.from({ length: count * 8 * 8 * 3 }, () => random.int(256)),
    imageSize: 8,
    tokens,
    contextLength: 6,
    keys: ['a', 'b', 'c', 'd'],
    kinds: ['alt', 'alt', 'ssc', 'ssc'],
    captions: ['a', 'b', 'c', 'd'],
    numTokens: Int32Array.of(6, 6, 6, 6),
    frame: { before: 1, after: 1 },
    truncated: 0,
    sources: [0, 0, 0, 0],
    fallbacks: 0,
    skipped: [],
    noCaption: [],
    epoch: 0,
    indexInEpoch: number,
  };
}

const LR = 1e-3;

describe('ClipTask', () => {
  it('learns a batch by heart', async () => {
    const task = new ClipTask(options);
    const losses: number[] = [];
    for (let i = 0; i < 30; i++) losses.push((await task.step(batch(0), 5e-3)).loss);
    expect(losses[0]).toBeGreaterThan(1);
    expect(losses.at(-1)).toBeLessThan(0.1);
    task.dispose();
  });

  it('trains alike when blocks are computed again instead of kept', async () => {
    const [plain, again] = [false, true].map((remat) => new ClipTask({ ...options, remat }));
    for (let i = 0; i < 3; i++) {
      const [expected, found] = [await plain!.step(batch(i), LR), await again!.step(batch(i), LR)];
      // Sums in another order: float32's rounding, of which three steps make little.
      expect(found.loss).toBeCloseTo(expected.loss, 5);
      expect(found.gradNorm / expected.gradNorm).toBeCloseTo(1, 4);
    }
    plain!.dispose();
    again!.dispose();
  });

  it('starts from the logit scale 1 / 0.07 and never lets it over 100', async () => {
    const task = new ClipTask(options);
    const first = await task.step(batch(0), 0);
    expect(first.extra.logitScale).toBeCloseTo(1 / 0.07, 4);
    const steps = [];
    for (let i = 0; i < 4; i++) steps.push(await task.step(batch(0), 2));
    for (const { extra } of steps) expect(extra.logitScale).toBeLessThanOrEqual(100.001);
    task.dispose();
  });

  it('goes on from its tensors as if it had never stopped, to the bit', async () => {
    const whole = new ClipTask(options);
    const expected = [];
    for (let i = 0; i < 4; i++) expected.push(await whole.step(batch(i), LR));

    const before = new ClipTask(options);
    for (let i = 0; i < 2; i++) await before.step(batch(i), LR);
    const model = before.modelTensors();
    const optimizer = before.optimizerTensors();
    before.dispose();
    expect([...model.keys()]).toEqual(clipParamSpecs(config).map(({ name }) => name));
    expect(optimizer.get('step')?.data).toEqual(Int32Array.of(2));

    const after = new ClipTask({ ...options, seed: 77 });
    after.restore(model, optimizer, 'run/step-2');
    const found = [];
    for (let i = 2; i < 4; i++) found.push(await after.step(batch(i), LR));
    expect(found).toEqual(expected.slice(2));
    expect(after.modelTensors()).toEqual(whole.modelTensors());
    expect(after.optimizerTensors()).toEqual(whole.optimizerTensors());
    whole.dispose();
    after.dispose();
  });

  it('clips gradients by their global norm, which it reports as it was', async () => {
    const free = new ClipTask(options);
    const clipped = new ClipTask({ ...options, gradClipNorm: 1e-9 });
    const a = await free.step(batch(0), LR);
    const b = await clipped.step(batch(0), LR);
    expect(b.gradNorm / a.gradNorm).toBeCloseTo(1, 5);
    const moment = (task: ClipTask): number =>
      Math.hypot(
        ...clipParamSpecs(config).flatMap(({ name }) => [
          ...(task.optimizerTensors().get(`m.${name}`)?.data ?? []),
        ]),
      );
    // The first moment is (1 - beta1) times the gradient.
    expect(moment(free) / (0.1 * a.gradNorm)).toBeCloseTo(1, 5);
    expect(moment(clipped) / 1e-10).toBeCloseTo(1, 3);
    free.dispose();
    clipped.dispose();
  });

  it("refuses another model's tensors, by name and shape", () => {
    const task = new ClipTask(options);
    const wide = new ClipTask({ ...options, config: { ...config, embedDim: 16 } });
    const restore = (): void =>
      task.restore(wide.modelTensors(), wide.optimizerTensors(), 'runs/wide/step-9');
    expect(restore).toThrow(CheckpointError);
    expect(restore).toThrow(
      /runs\/wide\/step-9.*visual\.proj.*16.*8|runs\/wide\/step-9.*visual\.proj.*8.*16/s,
    );
    const lacking = new Map(task.modelTensors());
    lacking.delete('ln_final.bias');
    expect(() => task.restore(lacking, task.optimizerTensors(), 'x')).toThrow(/ln_final\.bias/);
    const noStep = new Map(task.optimizerTensors());
    noStep.delete('step');
    expect(() => task.restore(task.modelTensors(), noStep, 'x')).toThrow(/'step'/);
    task.dispose();
    wide.dispose();
  });

  it('names the parameters that are not finite', async () => {
    const task = new ClipTask(options);
    expect(task.nonFiniteParams()).toEqual([]);
    const model = new Map(task.modelTensors());
    const proj = model.get('visual.proj');
    const data = Float32Array.from(proj?.data ?? []);
    data[3] = Number.NaN;
    model.set('visual.proj', { shape: proj?.shape ?? [], data });
    task.restore(model, task.optimizerTensors(), 'x');
    expect(task.nonFiniteParams()).toEqual(['visual.proj']);
    expect((await task.step(batch(0), LR)).loss).toBeNaN();
    task.dispose();
  });

  it('holds no tensor between steps, and embeds with the parameters as they are', async () => {
    const task = new ClipTask(options);
    await task.step(batch(0), LR);
    const embedder = task.embedder();
    const { images } = batch(3);
    const before = await embedder.encodeImages(images, 4);
    const held = tf.memory().numTensors;
    for (let i = 1; i < 6; i++) await task.step(batch(i), LR);
    const after = await embedder.encodeImages(images, 4);
    expect(tf.memory().numTensors).toBe(held);
    expect(after).not.toEqual(before);
    for (let row = 0; row < 4; row++) {
      expect(Math.hypot(...after.subarray(row * 8, row * 8 + 8))).toBeCloseTo(1, 5);
    }
    task.dispose();
  });
});
