/** The configuration's JSON Schema: for editors, for the documentation, and for naming known keys. */
import { z } from 'zod';
import type { Path } from './layers.js';
import { trainConfigSchema } from './schema.js';

/** The parts of JSON Schema that the configuration uses. */
export interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly unit?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly propertyNames?: { readonly enum?: readonly string[] };
  readonly additionalProperties?: JsonSchema | false;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly exclusiveMaximum?: number;
  readonly minLength?: number;
  readonly minItems?: number;
  readonly pattern?: string;
}

let cached: JsonSchema | undefined;

/** The JSON Schema of a configuration as it is written, defaults left out. */
export function trainConfigJsonSchema(): JsonSchema {
  cached ??= z.toJSONSchema(trainConfigSchema, { io: 'input' }) as JsonSchema;
  return cached;
}

/** The schema of the value at a path; undefined if the path is not known. */
export function schemaAt(schema: JsonSchema, path: Path): JsonSchema | undefined {
  return path.reduce<JsonSchema | undefined>((at, key) => {
    if (at === undefined) return undefined;
    if (typeof key === 'number') return at.items;
    return at.properties?.[key] ?? (at.additionalProperties || undefined);
  }, schema);
}
