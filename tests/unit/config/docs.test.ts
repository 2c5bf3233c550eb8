import { describe, expect, it } from 'vitest';
import { configMarkdown, jsonSchemaText } from '../../../src/config/docs.js';
import { type JsonSchema, schemaAt, trainConfigJsonSchema } from '../../../src/config/json-schema.js';

/** Every key that has no keys below it. */
function leaves(schema: JsonSchema, path = ''): [path: string, schema: JsonSchema][] {
  const inner = schema.properties ?? schema.items?.properties;
  if (!inner) return [[path, schema]];
  return Object.entries(inner).flatMap(([key, value]) => leaves(value, path === '' ? key : `${path}.${key}`));
}

describe('configMarkdown', () => {
  it('has a row with type, default, unit and meaning for each key', () => {
    const lines = configMarkdown().split('\n');
    expect(lines).toContain('| `train.lr` | number > 0 | `0.0005` |  | Highest learning rate. |');
    expect(lines).toContain(
      "| `data.workers` | whole number ≥ 0 or `auto` | `auto` | threads | Threads that decode images; 0 decodes in the main thread, 'auto' goes by the machine's cores. |",
    );
    expect(lines).toContain(
      '| `model.text.contextLength` | whole number ≥ 3 |  | tokens | Longest caption, start and end tokens included; longer ones are cut. |',
    );
    expect(
      lines.some((line) => line.startsWith('| `train.batchSize` | whole number ≥ 2 | required | samples |')),
    ).toBe(true);
    expect(
      lines.some((line) => line.startsWith('| `train.gradClipNorm` | number > 0 or null | `null` |')),
    ).toBe(true);
    expect(
      lines.some((line) =>
        line.startsWith('| `eval.zeroShot[].classes` | text or list of text | required |'),
      ),
    ).toBe(true);
  });

  it('describes every key', () => {
    for (const [path, { description }] of leaves(trainConfigJsonSchema())) {
      expect(description, path).toMatch(/\.$/);
    }
  });
});

describe('jsonSchemaText', () => {
  it('allows a file to leave keys to what it extends, and no unknown ones', () => {
    const schema = JSON.parse(jsonSchemaText()) as JsonSchema;
    expect(schema.required).toBeUndefined();
    expect(schema.additionalProperties).toBe(false);
    expect(schema.properties?.extends).toBeDefined();
    expect(schema.properties?.train?.required).toBeUndefined();
    expect(schema.properties?.train?.properties?.beta2).toMatchObject({
      minimum: 0,
      exclusiveMaximum: 1,
      default: 0.98,
    });
    expect(schemaAt(schema, ['eval', 'zeroShot', 0])?.required).toEqual(['classes', 'templates']);
  });
});
