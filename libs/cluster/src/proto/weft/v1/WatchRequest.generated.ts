// Original file: weft/v1/client.proto

import type { Long } from '@grpc/proto-loader';

export interface WatchRequest {
  'job'?: (string);
  'after'?: (number | string | Long);
}

export interface WatchRequest__Output {
  'job': (string);
  'after': (number);
}
