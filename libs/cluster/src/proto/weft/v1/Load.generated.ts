// Original file: weft/v1/scheduler.proto

import type { Epoch as _weft_v1_Epoch, Epoch__Output as _weft_v1_Epoch__Output } from '../../weft/v1/Epoch.generated.ts';

export interface Load {
  'job'?: (string);
  'epoch'?: (_weft_v1_Epoch | null);
  'device'?: (number);
  'blob'?: (string);
  'checkpoint'?: (string);
  'zeros'?: (string)[];
  'from'?: "blob"|"checkpoint";
}

export interface Load__Output {
  'job': (string);
  'epoch': (_weft_v1_Epoch__Output | null);
  'device': (number);
  'blob'?: (string);
  'checkpoint'?: (string);
  'zeros': (string)[];
  'from'?: "blob"|"checkpoint";
}
