/** How the art of a style looks. */
export const looks: Readonly<Record<string, string>> = {
  noto: 'soft shading and rounded shapes',
  twemoji: 'flat shapes without outlines',
  'fluent-emoji-flat': 'flat, bright shapes',
  fxemoji: 'simple flat shapes',
  openmoji: 'black outlines and flat colours',
  emojione: 'smooth, clean shapes',
};
