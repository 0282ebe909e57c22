// Original file: weft/v1/client.proto


export interface GetStateRequest {
  'job'?: (string);
}

export interface GetStateRequest__Output {
  'job': (string);
}
