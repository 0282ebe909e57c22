// Proves, before anything is placed, that a plan fits the devices it is meant for; a refusal says what is too big.
import { AdmissionError } from '../errors.ts';
import { bytesOfSpec } from '../plan/memory.ts';
import type { Plan, Program } from '../plan/program.ts';
import type { DeviceSlot } from './job.ts';

/** Throws AdmissionError naming the device, what it needs and has, and the biggest values. */
export function admit(plan: Plan, devices: readonly DeviceSlot[]): void {
  if (plan.programs.length > devices.length)
    throw new AdmissionError(
      `the plan is for ${plan.programs.length} devices (${meshText(plan)}); ${devices.length} are free: ` +
        `start more workers or plan a smaller mesh`,
    );
  plan.programs.forEach((program, device) => {
    const { info, worker } = devices[device];
    const { persistent, peak } = program.memory;
    if (persistent + peak <= info.memory) return;
    throw new AdmissionError(
      `the plan does not fit: device ${device} (${info.name} of ${worker}) needs ${bytesText(persistent + peak)} ` +
        `(${bytesText(persistent)} of parameters and state, ${bytesText(peak)} at the peak of a step) and has ` +
        `${bytesText(info.memory)}. Biggest values: ${biggest(program)}. More pipeline stages or micro-batches, a ` +
        `smaller batch, or a device with more memory would do`,
    );
  });
}

const meshText = (plan: Plan): string =>
  Object.entries(plan.mesh)
    .map(([axis, size]) => `${axis} ${size}`)
    .join(' × ');

/** Named values of a program with their sizes, largest first. */
function biggest(program: Program): string {
  const sizes = new Map<string, { bytes: number; shape: string }>();
  const add = (name: string, spec: { dtype: string; sizes: readonly number[] }, bytes: number) =>
    sizes.set(name, { bytes, shape: `${spec.dtype}[${spec.sizes.join(', ')}]` });
  for (const { name, spec } of program.persistent) add(name, spec, bytesOfSpec(spec));
  for (const { input, spec } of program.batchInputs) add(`input ${input}`, spec, bytesOfSpec(spec));
  for (const action of program.actions)
    if (action.kind === 'recv') add(`received ${action.slot}`, action.spec, bytesOfSpec(action.spec));
  return [...sizes]
    .sort(([, a], [, b]) => b.bytes - a.bytes)
    .slice(0, 5)
    .map(([name, { bytes, shape }]) => `${name} ${shape} ${bytesText(bytes)}`)
    .join(', ');
}

/** `1.5 GiB`. */
export function bytesText(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  let value = bytes;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
