// Original file: weft/v1/client.proto


export interface PutBlobResponse {
  'hash'?: (string);
}

export interface PutBlobResponse__Output {
  'hash': (string);
}
