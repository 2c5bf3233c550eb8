/**
 * Rows of text as aligned columns, two spaces apart, under their heads.
 *
 * @param right the heads of the columns that are aligned on the right, as numbers are
 */
export function formatTable(
  columns: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly string[] = [],
): string {
  const all = [columns, ...rows];
  const widths = columns.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const align = (cell: string, column: number): string =>
    right.includes(columns[column] as string)
      ? cell.padStart(widths[column] as number)
      : cell.padEnd(widths[column] as number);
  return all.map((row) => row.map(align).join('  ').trimEnd()).join('\n');
}
