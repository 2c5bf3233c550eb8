/** `npm run bench -- NAME [options]`: measures capstan beside the named peer, in the same run. */
import { Command } from 'commander';
import { CapstanError } from '../src/errors.js';
import { registerClipStep } from './clip-step.js';
import { registerDataWait } from './data-wait.js';
import { requireJsonPlace } from './lib/options.js';
import { registerLoader } from './loader.js';
import { registerLossCurve } from './loss-curve.js';
import { registerStepsMemory } from './steps-memory.js';

const program = new Command('npm run bench --')
  .description('Measures capstan beside its peers. Without a name, lists the benches.')
  .helpCommand(false)
  .hook('preAction', (_, bench) => requireJsonPlace(bench.opts()));
for (const register of [
  registerClipStep,
  registerDataWait,
  registerLoader,
  registerLossCurve,
  registerStepsMemory,
])
  register(program);

try {
  if (process.argv.length > 2) await program.parseAsync();
  else program.outputHelp();
  process.exit(0); // Its workers are suspended and would keep it waiting.
} catch (error) {
  console.error(error instanceof CapstanError ? error.message : error);
  process.exit(1);
}
