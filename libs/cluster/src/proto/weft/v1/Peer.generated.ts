// Original file: weft/v1/scheduler.proto


export interface Peer {
  'device'?: (number);
  'worker'?: (string);
  'bulkAddress'?: (string);
}

export interface Peer__Output {
  'device': (number);
  'worker': (string);
  'bulkAddress': (string);
}
