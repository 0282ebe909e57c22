// Original file: weft/v1/client.proto


export interface SubmitRequest {
  'job'?: (string);
}

export interface SubmitRequest__Output {
  'job': (string);
}
