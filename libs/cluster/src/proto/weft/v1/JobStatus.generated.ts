// Original file: weft/v1/client.proto

import type { Long } from '@grpc/proto-loader';

export interface JobStatus {
  'job'?: (string);
  'name'?: (string);
  'state'?: (string);
  'committed'?: (number | string | Long);
  'steps'?: (number | string | Long);
  'generation'?: (number);
  'checkpoint'?: (string);
  'error'?: (string);
  'workers'?: (string)[];
}

export interface JobStatus__Output {
  'job': (string);
  'name': (string);
  'state': (string);
  'committed': (number);
  'steps': (number);
  'generation': (number);
  'checkpoint': (string);
  'error': (string);
  'workers': (string)[];
}
