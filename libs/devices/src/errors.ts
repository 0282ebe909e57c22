import { WeftError } from '@weft/ir';

/** A device or plugin that is unknown, cannot be opened, is out of memory, or failed: names it and the remedy. */
export class DeviceError extends WeftError {}
