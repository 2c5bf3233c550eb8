import { describe, expect, it } from 'vitest';
import { ShapeError } from '../../../../src/errors.js';
import type { Params } from '../../../../src/models/nn/params.js';
import { adamwStep, clampLogitScale, OPEN_CLIP_ADAMW } from '../../../../src/train/optim/adamw.js';
import { clipByGlobalNorm, globalNorm } from '../../../../src/train/optim/grad-norm.js';
import { learningRate } from '../../../../src/train/optim/schedule.js';
import { tf } from '../../../support/engine.js';
import { expectClose, numbers } from '../../../support/gradients.js';

describe('adamwStep', () => {
  it("is torch.optim.AdamW's update in float64, over many steps, from step 0 and from 5,000", () => {
    const { beta1, beta2, eps, weightDecay } = OPEN_CLIP_ADAMW;
    for (const start of [0, 5000]) {
      const before = tf.memory().numTensors;
      const names = { 'mlp.weight': [3, 4], 'mlp.bias': [4] } as const;
      const p: Record<string, number[]> = {};
      const m: Record<string, number[]> = {};
      const v: Record<string, number[]> = {};
      let state: { params: Params; m: Params; v: Params } = { params: {}, m: {}, v: {} };
      for (const [name, shape] of Object.entries(names)) {
        const size = shape.reduce((a: number, b: number) => a * b, 1);
        p[name] = [...numbers(size, name)];
        m[name] = new Array(size).fill(0);
        v[name] = new Array(size).fill(0);
        state.params[name] = tf.tensor(p[name], [...shape]);
        state.m[name] = tf.zeros([...shape]);
        state.v[name] = tf.zeros([...shape]);
      }
      for (let step = start; step < start + 20; step++) {
        const lr = 1e-2 / (step + 1 - start);
        const grads: Params = {};
        for (const [name, shape] of Object.entries(names)) {
          const g = numbers(p[name]!.length, `${name}${step}`, 0.01);
          grads[name] = tf.tensor(g, [...shape]);
          g.forEach((gradient, i) => {
            m[name]![i] = beta1 * m[name]![i]! + (1 - beta1) * gradient;
            v[name]![i] = beta2 * v[name]![i]! + (1 - beta2) * gradient ** 2;
            const denominator = Math.sqrt(v[name]![i]!) / Math.sqrt(1 - beta2 ** (step + 1)) + eps;
            if (name === 'mlp.weight') p[name]![i]! *= 1 - lr * weightDecay;
            p[name]![i]! -= (lr / (1 - beta1 ** (step + 1))) * (m[name]![i]! / denominator);
          });
        }
        const next = adamwStep({ ...state, grads, step, lr }, OPEN_CLIP_ADAMW);
        tf.dispose([state, grads]);
        state = next;
      }
      for (const name of Object.keys(names)) {
        expectClose(state.params[name]!.dataSync(), p[name]!, 1e-6, name);
        expectClose(state.m[name]!.dataSync(), m[name]!, 1e-6, `m of ${name}`);
        expectClose(state.v[name]!.dataSync(), v[name]!, 1e-6, `v of ${name}`);
      }
      tf.dispose(state);
      expect(tf.memory().numTensors, 'tensors left').toBe(before);
    }
  });

  it('names a parameter without a gradient', () => {
    tf.tidy(() => {
      const one = { w: tf.zeros([2]) };
      const run = () =>
        adamwStep({ params: one, grads: {}, m: one, v: one, step: 0, lr: 1 }, OPEN_CLIP_ADAMW);
      expect(run).toThrow(ShapeError);
      expect(run).toThrow(/"w"/);
    });
  });
});

describe('clampLogitScale', () => {
  it.each([
    [-0.5, 0],
    [2, 2],
    [5, Math.log(100)],
  ])('takes %d to %d', (from, to) => {
    tf.tidy(() => {
      const w = tf.zeros([2]);
      const clamped = clampLogitScale({ w, logit_scale: tf.scalar(from) });
      expect(clamped.logit_scale!.dataSync()[0]).toBeCloseTo(to, 6);
      expect(clamped.w).toBe(w);
    });
  });
});

describe('gradient norm', () => {
  const grads = () => ({ a: tf.tensor2d([3, 0, 0, 4], [2, 2]), b: tf.scalar(12) });

  it('is that of all gradients as one vector', () => {
    tf.tidy(() => {
      expect(globalNorm(grads()).dataSync()[0]).toBeCloseTo(13, 5);
    });
  });

  it('clips to the limit, and only what is over it', () => {
    tf.tidy(() => {
      const over = clipByGlobalNorm(grads(), tf.scalar(13), 1);
      expectClose(over.a!.dataSync(), [3 / 13, 0, 0, 4 / 13], 1e-6, 'a');
      expectClose(over.b!.dataSync(), [12 / 13], 1e-6, 'b');
      expectClose(clipByGlobalNorm(grads(), tf.scalar(13), 14).a!.dataSync(), [3, 0, 0, 4], 1e-7, 'a');
    });
  });
});

describe('learningRate', () => {
  const schedule = { kind: 'cosine', lr: 1, warmupSteps: 4, totalSteps: 12 } as const;

  it('warms up from (step + 1) / warmupSteps, then follows half a cosine to 0', () => {
    expect([0, 1, 3].map((step) => learningRate(schedule, step))).toEqual([0.25, 0.5, 1]);
    expectClose(
      [4, 6, 8, 10, 12].map((step) => learningRate(schedule, step)),
      [1, (1 + Math.SQRT1_2) / 2, 0.5, (1 - Math.SQRT1_2) / 2, 0],
      1e-12,
      'cosine',
    );
    expect(learningRate(schedule, 100)).toBe(0);
  });

  it('stays constant, and starts at once without a warm-up', () => {
    expect(learningRate({ ...schedule, kind: 'const' }, 11)).toBe(1);
    expect(learningRate({ ...schedule, warmupSteps: 0 }, 0)).toBe(1);
  });

  it('has no cosine to divide by when the warm-up is the whole run', () => {
    expect(learningRate({ ...schedule, totalSteps: 4 }, 4)).toBe(1);
  });
});
