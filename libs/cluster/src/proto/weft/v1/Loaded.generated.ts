// Original file: weft/v1/scheduler.proto

import type { Long } from '@grpc/proto-loader';

export interface Loaded {
  'command'?: (number | string | Long);
}

export interface Loaded__Output {
  'command': (number);
}
