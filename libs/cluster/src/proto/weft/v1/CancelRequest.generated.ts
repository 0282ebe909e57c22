// Original file: weft/v1/client.proto


export interface CancelRequest {
  'job'?: (string);
}

export interface CancelRequest__Output {
  'job': (string);
}
