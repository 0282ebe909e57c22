// Original file: weft/v1/scheduler.proto


export interface GetBlobRequest {
  'hash'?: (string);
}

export interface GetBlobRequest__Output {
  'hash': (string);
}
