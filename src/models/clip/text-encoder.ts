// Shapes: B batch, L tokens, W width, E embedding; M = B * L rows.
import * as tf from '../../engine/tf.js';
import { ShapeError } from '../../errors.js';
import { causalMask, causalMaskAt } from '../nn/attention.js';
import { pooledResidualBlock, residualBlock } from '../nn/block.js';
import { embed, takeTokens } from '../nn/embedding.js';
import { layerNorm } from '../nn/layer-norm.js';
import { type Params, takeParam } from '../nn/params.js';
import type { ClipConfig, EncoderOptions } from './config.js';

function checkTokens(tokens: tf.Tensor, contextLength: number): void {
  const length = tokens.shape[1] ?? 0;
  if (tokens.rank !== 2 || length < 1 || length > contextLength || tokens.dtype !== 'int32') {
    throw new ShapeError(
      `The text tower takes int32 tokens of shape [batch, 1 to ${contextLength}], ` +
        `found ${tokens.dtype} [${tokens.shape.join(', ')}].`,
    );
  }
}

/**
 * Text features before normalisation (open_clip's `encode_text`): token and position embeddings,
 * causal blocks, norm of the end-of-text token, projection.
 *
 * The end-of-text token is where the id is largest, or the first that is `endToken` (open_clip's pooling by `eos`). No token sees a later one, so what follows it has
 * no effect, and a batch may be cut to its longest caption: L may be less than the context length.
 *
 * @param tokens_BL int32 token ids
 * @returns [B, E], owned by the caller
 * @throws ShapeError if the tokens or a parameter do not fit
 */
export function encodeText(
  params: Params,
  config: ClipConfig,
  tokens_BL: tf.Tensor,
  options: EncoderOptions = {},
): tf.Tensor {
  const { width, depth, numHeads, contextLength, endToken } = config.text;
  checkTokens(tokens_BL, contextLength);
  const [batch, length] = tokens_BL.shape as [number, number];
  return tf.tidy(() => {
    const embedded_MW = embed(
      takeParam(params, 'token_embedding.weight'),
      tf.reshape(tokens_BL, [batch * length]),
    );
    const positions = takeParam(params, 'positional_embedding');
    const positions_LW = length === contextLength ? positions : tf.slice(positions, [0, 0], [length, width]);
    const tokens_BLW = tf.add(tf.reshape(embedded_MW, [batch, length, width]), positions_LW);
    const isEnd_BL = endToken === undefined ? undefined : tf.equal(tokens_BL, tf.scalar(endToken, 'int32'));
    const end_B = tf.argMax(isEnd_BL === undefined ? tokens_BL : tf.cast(isEnd_BL, 'int32'), 1);
    const extents = { batch, length, numHeads, quickGelu: config.quickGelu, remat: options.remat };
    const block = (i: number): string => `transformer.resblocks.${i}`;
    let x_MW = tf.reshape(tokens_BLW, [batch * length, width]);
    const causal = { ...extents, mask: causalMask(length) };
    for (let i = 0; i < depth - 1; i++) x_MW = residualBlock(params, block(i), x_MW, causal);
    const pooled_BW = pooledResidualBlock(params, block(depth - 1), x_MW, takeTokens(x_MW, end_B), {
      ...extents,
      mask: causalMaskAt(end_B, length),
    });
    const normed_BW = layerNorm(
      pooled_BW,
      takeParam(params, 'ln_final.weight'),
      takeParam(params, 'ln_final.bias'),
    );
    return tf.matMul(normed_BW, takeParam(params, 'text_projection'));
  });
}
