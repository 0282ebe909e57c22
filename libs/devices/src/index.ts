export * from './device.ts';
export * from './errors.ts';
