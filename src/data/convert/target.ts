/** A shard that a conversion writes. */
import type { Row } from '../schema.js';

/** It appears under its path when it is closed, whole, or not at all. */
export interface TargetShard {
  /**
   * Adds a row.
   *
   * @param number of the row, counted in its split
   * @throws RecordFault if the format cannot hold the row, of which nothing is then written; DataError of the disk
   */
  add(row: Row, number: number): Promise<void>;
  /** Ends the shard, and puts it in its place. @throws DataError of the disk */
  close(): Promise<void>;
  /** Gives it up. */
  abort(): Promise<void>;
}
