/** How the learning rate moves over a run. */
export interface LearningRateSchedule {
  /** After the warm-up, half a cosine down to 0, or constant. */
  readonly kind: 'cosine' | 'const';
  /** The highest learning rate. */
  readonly lr: number;
  /** Steps of linear warm-up; 0 for none. */
  readonly warmupSteps: number;
  /** Steps of the whole run, the warm-up included. */
  readonly totalSteps: number;
}

/**
 * The learning rate of a step counted from 0, as open_clip's schedulers give it: lr (step + 1) /
 * warmupSteps during the warm-up, then lr or lr (1 + cos(π progress)) / 2. It stays at 0 past the end.
 */
export function learningRate(schedule: LearningRateSchedule, step: number): number {
  const { kind, lr, warmupSteps, totalSteps } = schedule;
  if (step < warmupSteps) return (lr * (step + 1)) / warmupSteps;
  if (kind === 'const') return lr;
  const progress = Math.min(1, (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps));
  return 0.5 * (1 + Math.cos(Math.PI * progress)) * lr;
}
