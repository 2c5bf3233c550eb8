/** All that capstan prints goes through here. */

/** Prints results: standard output. */
export function print(text: string): void {
  // biome-ignore lint/suspicious/noConsole: the only place that may use the console
  console.log(text);
}

/** Prints what is said about the work, and errors: standard error. */
export function printError(text: string): void {
  // biome-ignore lint/suspicious/noConsole: the only place that may use the console
  console.error(text);
}
