/** Opens the unpacked copy of a gzip file in a process of its own, and sends its length. */
import { openLocalFile } from '../../dist/data/storage/stored-file.js';
import { UnpackedCopies } from '../../dist/data/storage/unpacked.js';

const copies = new UnpackedCopies(2 ** 30);
const { size } = await copies.open(await openLocalFile(process.argv[2]));
await copies.close();
process.send(size, () => process.disconnect());
