// The devices that --device names, opened in the order given.
import type { DeviceFlags } from '@weft/worker';
import { deviceNamesOf, deviceOptionsOf } from '@weft/worker';
import { devices } from 'weft';

/** Throws DeviceError for a device that is not known or cannot be opened. */
export async function openDevices(flags: DeviceFlags): Promise<devices.Device[]> {
  const opened: devices.Device[] = [];
  for (const name of deviceNamesOf(flags))
    opened.push(...(await devices.deviceRegistry.open(name, deviceOptionsOf(flags))));
  return opened;
}
