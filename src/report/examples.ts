/** Retrieved and classified examples with their pictures; a right answer has a green frame. */
import { join } from 'node:path';
import { escapeHtml, imageUri } from './html.js';
import { describeResult, type RetrievalFile, type RunFiles, type ZeroShotFile } from './run-files.js';

type Picture = (name: string) => Promise<string>;

const alt = (text: string): string => `alt="${escapeHtml(text)}"`;

async function retrievalExamples({ examples }: RetrievalFile, on: string, picture: Picture): Promise<string> {
  const byText: string[] = [];
  for (const { query, gallery, results } of examples.textToImage) {
    const figures: string[] = [];
    for (const { image, label, correct } of results) {
      const frame = correct ? ' class="right"' : '';
      figures.push(
        `<figure><img${frame} src="${await picture(image)}" ${alt(label)}><figcaption>${escapeHtml(label)}</figcaption></figure>`,
      );
    }
    byText.push(
      `<section class="card"><p>“${escapeHtml(query)}” <small>${escapeHtml(gallery)}</small></p><div class="strip">${figures.join('')}</div></section>`,
    );
  }
  const byImage: string[] = [];
  for (const { image, label, gallery, results } of examples.imageToText) {
    const items = results.map(
      ({ text, correct }) => `<li${correct ? ' class="right"' : ''}>${escapeHtml(text)}</li>`,
    );
    byImage.push(
      `<section class="card example"><figure><img src="${await picture(image)}" ${alt(label)}><figcaption>${escapeHtml(label)}, ${escapeHtml(gallery)}</figcaption></figure><div><ol>${items.join('')}</ol></div></section>`,
    );
  }
  return [
    byText.length === 0
      ? ''
      : `<h2>Text queries: the images ranked first${on}</h2>\n<div class="examples">\n${byText.join('\n')}\n</div>`,
    byImage.length === 0
      ? ''
      : `<h2>Image queries: the captions ranked first${on}</h2>\n<div class="examples">\n${byImage.join('\n')}\n</div>`,
  ].join('\n');
}

async function zeroShotExamples(
  { examples, classes }: ZeroShotFile,
  on: string,
  picture: Picture,
): Promise<string> {
  if (examples.length === 0) return '';
  const cards: string[] = [];
  for (const { image, label, predictions } of examples) {
    const items = predictions.map(
      ({ name, logit, correct }) =>
        `<li${correct ? ' class="right"' : ''}>${escapeHtml(name)} <small>${logit.toFixed(1)}</small></li>`,
    );
    cards.push(
      `<section class="card example"><figure><img src="${await picture(image)}" ${alt(label)}><figcaption>${escapeHtml(label)}</figcaption></figure><div><ol>${items.join('')}</ol></div></section>`,
    );
  }
  return `<h2>Zero-shot by ${escapeHtml(classes)}: the classes ranked first, with logits${on}</h2>\n<div class="examples">\n${cards.join('\n')}\n</div>`;
}

/** The examples that the eval files of a run hold. */
export async function examplesSection(run: RunFiles): Promise<string> {
  const picture: Picture = (name) => imageUri(join(run.dir, 'eval'), name);
  const parts: string[] = [];
  const many = run.retrieval.length > 1;
  const on = (file: RetrievalFile | ZeroShotFile): string =>
    many || run.zeroShot.length > 1 ? escapeHtml(` (${describeResult(run, file)}, step ${file.step})`) : '';
  for (const file of run.retrieval) parts.push(await retrievalExamples(file, on(file), picture));
  for (const file of run.zeroShot) parts.push(await zeroShotExamples(file, on(file), picture));
  return parts.filter((part) => part !== '').join('\n');
}
