// Which device tensors live on: the host device (named `cpu` in programs, the cpu device unless another one is
// chosen) and those that were opened beside it.
import type { Device } from '@weft/devices';
import { DeviceError, cpuDevice } from '@weft/devices';
import type { DeviceValue } from '@weft/ir';

let host: Device | undefined;
const opened = new Map<string, Device>();

/** The device that new tensors go to when none is named; `cpu` in programs. */
export const hostDevice = (): Device => (host ??= cpuDevice());

/** Makes `device`, which must be a host device, the one named `cpu`. Existing tensors stay where they are. */
export function useHostDevice(device: Device): void {
  host = device;
}

/** Makes an opened device available to programs under `type:index` (and `type` for index 0). */
export function addDevice(device: Device): void {
  const { type, index } = device.info;
  opened.set(`${type}:${index}`, device);
  if (index === 0) opened.set(type, device);
}

/** The device's name in programs. */
export function deviceName(device: Device): string {
  if (device === host || device.info.type === 'reference' || device.info.type === 'cpu') return 'cpu';
  return `${device.info.type}:${device.info.index}`;
}

/** The device of that name; null means the host device. Throws DeviceError naming the devices that are open. */
export function deviceNamed(name: string | DeviceValue | null): Device {
  const text = name === null ? 'cpu' : String(name);
  if (text === 'cpu' || text === 'cpu:0') return hostDevice();
  const device = opened.get(text);
  if (device === undefined) {
    const known = ['cpu', ...opened.keys()].join(', ');
    throw new DeviceError(`device '${text}' is not open (open are: ${known}): open it and call addDevice`);
  }
  return device;
}
