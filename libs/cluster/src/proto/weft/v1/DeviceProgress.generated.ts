// Original file: weft/v1/scheduler.proto

import type { Long } from '@grpc/proto-loader';

export interface DeviceProgress {
  'job'?: (string);
  'device'?: (number);
  'step'?: (number | string | Long);
  'action'?: (number);
  'doing'?: (string);
  'waitingFor'?: (number);
  'ticks'?: (number | string | Long);
  '_waitingFor'?: "waitingFor";
}

export interface DeviceProgress__Output {
  'job': (string);
  'device': (number);
  'step': (number);
  'action': (number);
  'doing': (string);
  'waitingFor'?: (number);
  'ticks': (number);
  '_waitingFor'?: "waitingFor";
}
