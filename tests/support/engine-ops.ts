/**
 * The operations that capstan's models, losses and optimizers are made of, each with inputs that matter for
 * it (broadcasting both ways, extents of 1, odd sizes, negative axes, every element type it is used with) and
 * the same in plain float64 arithmetic. `ops.test.ts` runs them; a model that records an operation which is
 * not here fails its coverage test.
 */
import type { OpRow } from './engine-operands.js';
import { elementwiseRows } from './engine-ops-elementwise.js';
import { movementRows } from './engine-ops-movement.js';
import { productRows, reductionRows } from './engine-ops-reductions.js';

export const opRows: readonly OpRow[] = [
  ...elementwiseRows,
  ...reductionRows,
  ...movementRows,
  ...productRows,
];
