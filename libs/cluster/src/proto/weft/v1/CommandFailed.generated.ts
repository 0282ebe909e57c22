// Original file: weft/v1/scheduler.proto

import type { Long } from '@grpc/proto-loader';

export interface CommandFailed {
  'command'?: (number | string | Long);
  'error'?: (string);
  'kind'?: (string);
}

export interface CommandFailed__Output {
  'command': (number);
  'error': (string);
  'kind': (string);
}
