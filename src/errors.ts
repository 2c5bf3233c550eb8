/**
 * The errors that capstan throws on purpose. The CLI prints their message without a stack; anything
 * else that reaches the CLI is a bug and is printed whole. A message names the file, row, key or
 * tensor, what was expected, what was found, and what to do.
 */
export class CapstanError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** A configuration file, override or option that is not valid. */
export class ConfigError extends CapstanError {}

/** A tensor or array whose shape or dtype is not the expected one. */
export class ShapeError extends CapstanError {}

/** A data set, shard, row, image or caption that cannot be used. */
export class DataError extends CapstanError {}

/** A checkpoint or weight file that is damaged or belongs to another model, or a run's file that cannot be written. */
export class CheckpointError extends CapstanError {}

/** A loss, gradient or parameter that became NaN or infinite. */
export class NumericError extends CapstanError {}

/** The native engine is missing, incompatible, or refused an operation. */
export class EngineError extends CapstanError {}

/** A pinned asset could not be fetched or does not have its pinned checksum. */
export class AssetError extends CapstanError {}
