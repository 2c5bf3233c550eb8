/** How an owner declares one field of a configuration; everything else is derived from it. */
import type { z } from 'zod';

/**
 * A schema with its description and unit, which `docs/config.md`, the JSON Schema and error messages show.
 *
 * @param unit of the value: 'pixels', 'steps'; left out for names and switches
 */
export function field<T extends z.ZodType>(schema: T, description: string, unit?: string): T {
  return schema.meta(unit === undefined ? { description } : { description, unit });
}
