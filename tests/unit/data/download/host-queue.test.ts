import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { HostQueue } from '../../../../src/data/download/host-queue.js';

const failed = (error: unknown): void => {
  throw error;
};

function gate() {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

it.each([
  [5, 4, 1],
  [3, 4, 2],
  [1, 2, 2],
])(
  'runs so many at a time, and so many of one host (%i hosts)',
  async (numHosts, expectedAll, expectedOfHost) => {
    const queue = new HostQueue(4, 2, failed);
    const active = new Map<string, number>();
    let [all, mostAll, mostOfHost, done] = [0, 0, 0, 0];
    for (let i = 0; i < 60; i++) {
      const host = `host-${i % numHosts}`;
      queue.add(host, async () => {
        active.set(host, (active.get(host) ?? 0) + 1);
        mostAll = Math.max(mostAll, ++all);
        mostOfHost = Math.max(mostOfHost, active.get(host) as number);
        await sleep(1);
        all--;
        active.set(host, (active.get(host) as number) - 1);
        done++;
      });
    }
    while (done < 60) await sleep(1);
    expect([mostAll, mostOfHost]).toEqual([expectedAll, expectedOfHost]);
  },
);

it('does not let a host with many jobs hold up another', async () => {
  const queue = new HostQueue(3, 2, failed);
  const { open, opened } = gate();
  const order: string[] = [];
  for (let i = 0; i < 10; i++) {
    queue.add('slow', async () => {
      order.push('slow');
      await opened;
    });
  }
  queue.add('quick', async () => {
    order.push('quick');
  });
  await sleep(1);
  expect(order).toEqual(['slow', 'slow', 'quick']);
  open();
  while (order.length < 11) await sleep(1);
});

it('gives the place of a host on when it is released, and that of the queue when the job ends', async () => {
  const queue = new HostQueue(2, 1, failed);
  const { open, opened } = gate();
  const order: number[] = [];
  for (let i = 0; i < 3; i++) {
    queue.add('host', async (release) => {
      order.push(i);
      release();
      await opened;
    });
  }
  expect(order).toEqual([0, 1]);
  open();
  while (order.length < 3) await sleep(1);
});

it('begins nothing for a host that is paused, and what is delayed only then', async () => {
  const queue = new HostQueue(8, 8, failed);
  const order: string[] = [];
  const note = (text: string) => async () => void order.push(text);
  const { open, opened } = gate();
  queue.add('host', async () => {
    queue.pause('host', 60);
    await opened;
  });
  queue.add('host', note('paused'));
  queue.add('other', note('delayed'), 20);
  queue.add('other', note('other'));
  open();
  while (order.length < 3) await sleep(5);
  expect(order).toEqual(['other', 'delayed', 'paused']);
});

it('hands on what a job throws, and goes on', async () => {
  const errors: unknown[] = [];
  const queue = new HostQueue(1, 1, (error) => errors.push(error));
  let ran = false;
  queue.add('host', async () => Promise.reject(new Error('full disk')));
  queue.add('host', async () => {
    ran = true;
  });
  while (!ran) await sleep(1);
  expect(errors).toEqual([new Error('full disk')]);
});

it('forgets what waits', async () => {
  const queue = new HostQueue(1, 1, failed);
  let ran = 0;
  const { open, opened } = gate();
  queue.add('host', () => opened);
  queue.add('host', async () => void ran++);
  queue.add('host', async () => void ran++, 1);
  queue.clear();
  open();
  await sleep(10);
  expect(ran).toBe(0);
});
