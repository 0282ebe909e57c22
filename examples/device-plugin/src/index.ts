// A device plugin. Its default export is what weft registers: the type that users write (`--device example`), the version of
// the interface it was made for, and how to open its devices. Only types are imported, so nothing of weft is bundled.
import type { DeviceOptions, DevicePlugin } from '@weft/devices';
import { ExampleDevice } from './device.ts';

const plugin: DevicePlugin = {
  type: 'example',
  apiVersion: 1,
  async open(options: DeviceOptions) {
    // `--device-option memory=1000000`
    const memory = Number(options.settings?.memory ?? 1 << 30);
    if (!Number.isSafeInteger(memory) || memory < 0) {
      throw new Error(`memory=${options.settings?.memory}: a number of bytes is expected`);
    }
    return [new ExampleDevice(memory)];
  },
};

export default plugin;
