/**
 * The public data sets of images with captions that are read as they are published.
 *
 * Which column is which kind of caption goes by the kinds' lengths: `ssc` mostly 10 to 15 tokens, `dsc` 40 to 60 (at
 * most 78), `dsc+` mostly more than 100, `afc` fused with the facts of the AltText (arXiv 2410.02740). docs/data.md
 * has the reasons column by column.
 */
import type { ColumnMap } from './column-map.js';

/** How one data set is laid out. */
export interface DatasetSchema {
  readonly name: string;
  /** Columns that have to be there; `a|b` is whichever is there. */
  readonly columns: ColumnMap;
  /** Columns that are mapped where they are there. */
  readonly optional?: ColumnMap;
  /** Columns by which it is told from a data set with the same others. */
  readonly marks?: readonly string[];
  /** Names of its files, which tell it from data sets with the same columns. */
  readonly files?: RegExp;
  /** Its columns have names that anything could have, so that it is told by the files' names only. */
  readonly generic?: true;
}

/** The first answer of the model in a conversation as LLaVA writes it. */
const ANSWER = 'conversations[from=gpt].value';

const perModel = (length: 'short' | 'long'): string[] =>
  ['IB', 'SV', 'LLA'].map((model) => `${length}${model}_captions`);

/** Every schema by name but `custom`, whose columns the user names. */
export const schemas: readonly DatasetSchema[] = [
  {
    name: 'capstan',
    columns: { key: 'key', image: 'image' },
    optional: {
      url: 'url',
      alt: 'alt',
      ssc: 'ssc',
      dsc: 'dsc',
      'dsc+': 'dsc+',
      afc: 'afc',
      captions: 'captions',
      label: 'label',
      split: 'split',
    },
  },
  {
    name: 'recap-datacomp-1b',
    columns: { key: 'key', url: 'url', alt: 'org_caption', dsc: 're_caption' },
  },
  {
    name: 'datacomp',
    columns: { key: 'uid', url: 'url', alt: 'text' },
  },
  {
    name: 'coyo-hd',
    columns: {
      key: 'key',
      url: 'url',
      alt: 'caption',
      ssc: 'caption_llava_short',
      dsc: 'caption_llava',
    },
    marks: ['tags_open_images', 'tags_booru'],
  },
  {
    name: 'cc12m-llavanext',
    columns: {
      key: 'key',
      url: 'url',
      alt: 'caption',
      ssc: 'caption_llava_short',
      dsc: 'caption_llava',
    },
  },
  {
    name: 'dreamlip',
    columns: {
      key: 'sha256(Image Path)',
      url: 'Image Path',
      alt: 'raw_caption',
      ssc: perModel('short'),
      'dsc+': perModel('long'),
    },
  },
  {
    name: 'capsfusion',
    columns: {
      key: 'sha256(image_url)',
      url: 'image_url',
      alt: 'laion_2b',
      ssc: 'laion_coco',
      afc: 'capsfusion',
    },
  },
  {
    name: 'pixelprose',
    columns: { key: 'uid', url: 'url', alt: 'original_caption', 'dsc+': 'vlm_caption' },
  },
  {
    name: 'llava-pretrain',
    columns: { key: 'id', image: 'image', ssc: `blip_caption|${ANSWER}` },
    optional: { url: 'url' },
    files: /^blip_laion_cc_sbu/,
  },
  {
    name: 'llava-recap',
    columns: { key: 'id', image: 'image', 'dsc+': ANSWER },
    marks: ['data_source'],
  },
  {
    name: 'sharegpt4v',
    columns: { key: 'id', image: 'image', 'dsc+': ANSWER },
    files: /^(share-captioner|sharegpt4v)_/,
  },
  {
    name: 'vecap',
    // One object of captions by URL: JSON's reader calls its names `key` and what they name `value`.
    columns: { key: 'sha256(key)', url: 'key', afc: 'value' },
    files: /^wit_300m-/,
    generic: true,
  },
  {
    name: 'docci',
    columns: { key: 'example_id', image: 'image_file|image', 'dsc+': 'description' },
    optional: { split: 'split' },
  },
  {
    // img2dataset's members, and capstan's own names in a sample's JSON.
    name: 'webdataset',
    columns: { key: '__key__', image: 'jpg|jpeg|png|webp|gif|tif|tiff|avif' },
    optional: {
      url: 'url',
      alt: 'alt|txt',
      ssc: 'ssc',
      dsc: 'dsc',
      'dsc+': 'dsc+',
      afc: 'afc',
      captions: 'captions',
      label: 'label|cls',
      split: 'split',
    },
  },
];

/** The names that a schema can be chosen by. */
export const schemaNames: readonly string[] = [...schemas.map(({ name }) => name), 'custom'];
