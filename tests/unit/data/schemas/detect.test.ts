import { describe, expect, it } from 'vitest';
import { detectSchema } from '../../../../src/data/schemas/detect.js';
import { ConfigError } from '../../../../src/errors.js';

const detect = (columns: string[], files = ['train-00000.parquet']) =>
  detectSchema('set', columns, files)?.name;

const llava = ['url', 'caption', 'caption_llava', 'caption_llava_short', 'key'];
const talk = ['id', 'image', 'conversations'];

describe('detectSchema', () => {
  it('takes the schema whose columns include those of every other that fits', () => {
    expect(detect(llava)).toBe('cc12m-llavanext');
    expect(detect([...llava, 'tags_open_images', 'tags_booru', 'width'])).toBe('coyo-hd');
    expect(detect([...talk, 'data_source'])).toBe('llava-recap');
    expect(detect(['id', 'image', 'blip_caption', 'url'])).toBe('llava-pretrain');
    expect(detect(['uid', 'url', 'text'])).toBe('datacomp');
  });

  it("takes capstan's own names as such, whatever else there is", () => {
    expect(detect(['key', 'image', 'ssc', ...llava])).toBe('capstan');
    expect(detect(['key', 'image'])).toBe('capstan');
    expect(detect(['image', ...llava])).toBe('cc12m-llavanext');
  });

  it('knows nothing of other columns', () => {
    expect(detect(['key', 'alt'])).toBeUndefined();
    expect(detect(llava.slice(1, 4))).toBeUndefined();
  });

  it('goes by file names where columns are the same, and asks where they do not tell', () => {
    expect(detect(talk, ['in/a/sharegpt4v_instruct_gpt4-vision_cap100k.json'])).toBe('sharegpt4v');
    expect(detect(talk, ['blip_laion_cc_sbu_558k.json'])).toBe('llava-pretrain');
    const unsure = () => detect(talk, ['blip_laion_cc_sbu_558k.json', 'share-captioner_coco.json']);
    expect(unsure).toThrow(ConfigError);
    expect(unsure).toThrow(/set: its columns fit the schemas llava-pretrain and sharegpt4v alike/);
    const both = [...llava, 'id', 'image', 'conversations', 'data_source'];
    expect(() => detect(both)).toThrow(/schemas cc12m-llavanext and llava-recap alike/);
  });

  it('does not go by column names alone that anything could have', () => {
    expect(detect(['key', 'value'])).toBeUndefined();
    expect(detect(['key', 'value'], ['wit_300m-00-of-10.json'])).toBe('vecap');
  });
});
