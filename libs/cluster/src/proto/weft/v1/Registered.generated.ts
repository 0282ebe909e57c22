// Original file: weft/v1/scheduler.proto

import type { Long } from '@grpc/proto-loader';

export interface Registered {
  'command'?: (number | string | Long);
}

export interface Registered__Output {
  'command': (number);
}
