// Original file: weft/v1/client.proto


export interface SubmitResponse {
  'job'?: (string);
}

export interface SubmitResponse__Output {
  'job': (string);
}
