/** The worker's end of the protocol, which `worker-process.ts` speaks to. */
import { createInterface } from 'node:readline';
import { REPLY, type RequestName } from './protocol.js';

/** Answers the requests of standard input one after the other until it ends; what `answer` throws is replied. */
export async function serveRequests(
  answer: (name: RequestName, args: unknown) => Promise<unknown>,
): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    const { name, arguments: args } = JSON.parse(line) as { name: RequestName; arguments: unknown };
    const reply = await answer(name, args).then(
      (value) => ({ reply: value }),
      (error: unknown) => ({
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      }),
    );
    process.stdout.write(`${REPLY}${JSON.stringify(reply)}\n`);
  }
}
