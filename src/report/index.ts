export { type LineChart, renderLineChart, type Series } from './charts.js';
export { type ReportOptions, type ReportTable, renderReport, writeEvalPage, writeReport } from './report.js';
export { isOwnData, ownResults, type RunFiles, readRun } from './run-files.js';
