// Original file: weft/v1/bulk.proto

import type { Epoch as _weft_v1_Epoch, Epoch__Output as _weft_v1_Epoch__Output } from '../../weft/v1/Epoch.generated.ts';
import type { Long } from '@grpc/proto-loader';

export interface PullRequest {
  'job'?: (string);
  'epoch'?: (_weft_v1_Epoch | null);
  'from'?: (number);
  'to'?: (number);
  'key'?: (string);
  'size'?: (number | string | Long);
}

export interface PullRequest__Output {
  'job': (string);
  'epoch': (_weft_v1_Epoch__Output | null);
  'from': (number);
  'to': (number);
  'key': (string);
  'size': (number);
}
