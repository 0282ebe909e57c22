// Original file: weft/v1/scheduler.proto

import type { Long } from '@grpc/proto-loader';

export interface Released {
  'command'?: (number | string | Long);
}

export interface Released__Output {
  'command': (number);
}
