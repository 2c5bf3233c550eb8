import type { Command } from 'commander';

interface ReportFlags {
  readonly out: string;
  readonly title?: string;
}

/** Adds `capstan report RUN… --out FILE`: one HTML page of one run or several beside each other. */
export function registerReport(program: Command): void {
  program
    .command('report')
    .description('make one self-contained HTML page of run folders: curves, scores, examples, configuration')
    .argument('<run...>', 'run folders; several are drawn in the same charts')
    .option('--out <file>', 'page to write', 'report.html')
    .option('--title <text>', 'heading of the page')
    .action(async (runs: string[], flags: ReportFlags) => {
      const { writeReport } = await import('../../report/index.js');
      await writeReport(runs, flags.out, flags.title === undefined ? {} : { title: flags.title });
      process.stdout.write(`${flags.out}\n`);
    });
}
