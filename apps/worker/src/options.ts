// Options about devices that several commands take, and how repeated options are read.
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import type { DeviceOptions } from '@weft/devices';
import { defaultDevice } from '@weft/devices';

/** Collects names from repeated options and from lists with commas. */
export const collectNames = (text: string, before: readonly string[] = []): string[] => [
  ...before,
  ...text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== ''),
];

/** Collects repeated options. */
export const collect = (text: string, before: readonly string[] = []): string[] => [...before, text];

/** Collects repeated `name=value` options. */
export function collectSetting(
  text: string,
  before: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('name=value is expected');
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

/** A whole number that is not negative. */
export function count(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new InvalidArgumentError('a whole number is expected');
  return value;
}

/** A whole number from 1 on. */
export function positive(text: string): number {
  const value = count(text);
  if (value === 0) throw new InvalidArgumentError('it must be 1 or more');
  return value;
}

/** A port; 0 stands for any free one. */
export function portNumber(text: string): number {
  if (!/^\d+$/.test(text) || Number(text) > 65535)
    throw new InvalidArgumentError('a port number (0 to 65535) is expected');
  return Number(text);
}

/** The flags that `addDeviceOptions` adds. */
export interface DeviceFlags {
  readonly device?: readonly string[];
  readonly deviceOption?: Readonly<Record<string, string>>;
  readonly threads?: number;
}

/** Adds --device, --device-option and --threads. */
export const addDeviceOptions = (command: Command, what = 'devices in order of preference'): Command =>
  command
    .option(
      '--device <names>',
      `${what}: types, npm packages or paths; repeatable, or with commas (default: ${defaultDevice})`,
      collectNames,
    )
    .option('--device-option <name=value>', 'a setting of the device plugin (repeatable)', collectSetting)
    .option('--threads <count>', 'threads that a device may use for itself', count);

/** The devices that the flags name, in order of preference. */
export const deviceNamesOf = ({ device }: DeviceFlags): readonly string[] => device ?? [defaultDevice];

/** What the flags say to a device plugin. */
export const deviceOptionsOf = ({ deviceOption, threads }: DeviceFlags): DeviceOptions => ({
  ...(deviceOption === undefined ? {} : { settings: deviceOption }),
  ...(threads === undefined ? {} : { threads }),
});
