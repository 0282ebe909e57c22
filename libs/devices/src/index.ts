// @weft/devices: what a device plugin is, how one is found and opened, and the reference device that is always there.
export * from './device.ts';
export * from './errors.ts';
export * from './host.ts';
export { MappedFile } from './mapped-file.ts';
export type { FilePart, MappedFileOptions } from './mapped-file.ts';
export { conformanceCases, runConformance } from './conformance/run.ts';
export type { ConformanceOptions, ConformanceReport, Failure } from './conformance/run.ts';
export type { ConformanceCase } from './conformance/case.ts';
export { CpuDevice, cpuDevice, cpuPlugin } from './cpu/device.ts';
export { measureCeilings } from './cpu/ceilings.ts';
export type { Ceilings } from './cpu/ceilings.ts';
export * from './partition.ts';
export * from './plugin.ts';
export * from './registry.ts';
export { schedule, sourcesOf, valuesRead } from './reference/schedule.ts';
export type { FusionRules, Unit } from './reference/schedule.ts';
export { referenceDevice, referencePlugin } from './reference/device.ts';
