// Errors of the cluster. Each message says what happened, to which worker, device, step or file, and what to do.
import { WeftError } from '@weft/ir';

/** Base of all errors of the cluster. */
export class ClusterError extends WeftError {}

/** A peer or scheduler that cannot be reached, does not answer, or went away: address, how long was tried, remedy. */
export class ConnectionError extends ClusterError {}

/** An address that cannot be listened on. */
export class ListenError extends ClusterError {}

/** A transfer that was given up: cancelled, fenced, or its peer failed. */
export class TransferError extends ClusterError {}

/** A command or transfer of an epoch that a newer one has replaced. Never acted upon. */
export class StaleEpochError extends ClusterError {}

/** A plan that does not fit the memory of a device, or has more programs than there are devices. */
export class AdmissionError extends ClusterError {}

/** A checkpoint, data file or store that is missing, damaged or of another job: names the file. */
export class CorruptFileError extends ClusterError {}

/** A loss that is not a number or infinite: training on would destroy the parameters. */
export class NonFiniteLossError extends ClusterError {
  constructor(
    readonly resultName: string,
    readonly value: number,
    readonly step: number,
    readonly where: string,
  ) {
    super(
      `'${resultName}' is ${value} in step ${step} on ${where}: the parameters before this step are kept in the last ` +
        `checkpoint. Lower the learning rate, clip gradients, or look for a division by zero or log of zero; ` +
        `to go on regardless, submit the job with checkFinite off`,
    );
  }
}

/** A job that ended in failure: the message of its cause. */
export class JobFailedError extends ClusterError {
  constructor(
    readonly job: string,
    readonly reason: string,
  ) {
    super(`job '${job}' failed: ${reason}`);
  }
}

/** The error that `value` is, or one with its text. */
export const asError = (value: unknown): Error => (value instanceof Error ? value : new Error(String(value)));

/** The message of anything thrown. */
export const messageOf = (value: unknown): string => asError(value).message;
