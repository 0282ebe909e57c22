// Original file: weft/v1/scheduler.proto

import type { Epoch as _weft_v1_Epoch, Epoch__Output as _weft_v1_Epoch__Output } from '../../weft/v1/Epoch.generated.ts';
import type { Peer as _weft_v1_Peer, Peer__Output as _weft_v1_Peer__Output } from '../../weft/v1/Peer.generated.ts';

export interface Register {
  'job'?: (string);
  'epoch'?: (_weft_v1_Epoch | null);
  'deviceIndex'?: (number);
  'program'?: (string);
  'peers'?: (_weft_v1_Peer)[];
  'batchSource'?: (string);
  'checkFinite'?: (boolean);
}

export interface Register__Output {
  'job': (string);
  'epoch': (_weft_v1_Epoch__Output | null);
  'deviceIndex': (number);
  'program': (string);
  'peers': (_weft_v1_Peer__Output)[];
  'batchSource': (string);
  'checkFinite': (boolean);
}
