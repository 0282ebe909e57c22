// The entry of the worker's threads: what the piscina pool runs. A task either describes the devices of this machine or serves a
// session until it ends. Devices are opened once a thread.
import type { MessagePort } from 'node:worker_threads';
import type { Device } from '@weft/devices';
import { DeviceError, compileForDevices, deviceRegistry } from '@weft/devices';
import type { DeviceSummary } from '../scheduler/job.ts';
import type { DeviceChoice, SessionStart } from './session.ts';
import { runSession } from './session.ts';

export type ThreadTask =
  | { readonly kind: 'describe'; readonly devices: Omit<DeviceChoice, 'index'> }
  | { readonly kind: 'session'; readonly start: SessionStart; readonly port: MessagePort };

const opened = new Map<string, Promise<Device[]>>();

/** All devices of a name, opened once. */
function devicesOf(name: string, options: DeviceChoice['options']): Promise<Device[]> {
  const key = `${name} ${JSON.stringify(options)}`;
  const known = opened.get(key);
  if (known !== undefined) return known;
  const devices = deviceRegistry.open(name, options);
  devices.catch(() => opened.delete(key));
  opened.set(key, devices);
  return devices;
}

/** The chosen device; what it does not support goes to the next ones in the user's order, and last to the reference. */
async function openDevice(choice: DeviceChoice): Promise<Device> {
  const [first, ...others] = await Promise.all(choice.names.map((name) => devicesOf(name, choice.options)));
  const home = first[choice.index];
  if (home === undefined)
    throw new DeviceError(
      `'${choice.names[0]}' has ${first.length} devices; number ${choice.index} is asked for`,
    );
  const rest = others.flat();
  if (home.info.type !== 'reference' && !choice.names.includes('reference'))
    rest.push(...(await devicesOf('reference', {})));
  return rest.length === 0 ? home : withFallback(home, rest);
}

/** A device that compiles with the help of others; memory and transfers are its own. */
function withFallback(home: Device, others: readonly Device[]): Device {
  return {
    info: home.info,
    allocate: (bytes) => home.allocate(bytes),
    write: (to, offset, from) => home.write(to, offset, from),
    read: (from, offset, to) => home.read(from, offset, to),
    supports: (node) => home.supports(node) || others.some((device) => device.supports(node)),
    compile: (graph, options) => compileForDevices(graph, [home, ...others], options),
    synchronize: () => home.synchronize(),
  };
}

export default async function task(work: ThreadTask): Promise<readonly DeviceSummary[] | undefined> {
  switch (work.kind) {
    case 'describe': {
      const [first] = await Promise.all(
        work.devices.names.map((name) => devicesOf(name, work.devices.options)),
      );
      return first.map(({ info }) => ({
        type: info.type,
        index: info.index,
        name: info.name,
        memory: info.memory,
        flops: info.flops,
        bandwidth: info.bandwidth,
        dtypes: [...info.dtypes],
      }));
    }
    case 'session':
      await runSession(work.start, work.port, openDevice);
      return undefined;
    default:
      return work satisfies never;
  }
}
