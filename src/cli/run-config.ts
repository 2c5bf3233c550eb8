/** The configuration of a run that a command is given by its folder. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '../config/load.js';
import type { TrainConfig } from '../config/schema.js';
import { noRunFolder } from '../report/run-files.js';

/** @throws ConfigError if it is no run's folder, or its configuration is not valid */
export async function loadRunConfig(directory: string): Promise<TrainConfig> {
  const path = join(directory, 'config.yaml');
  if (!existsSync(path)) throw noRunFolder(directory);
  return loadConfig(path);
}
