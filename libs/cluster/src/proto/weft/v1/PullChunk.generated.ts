// Original file: weft/v1/bulk.proto


export interface PullChunk {
  'data'?: (Buffer | Uint8Array | string);
}

export interface PullChunk__Output {
  'data': (Buffer);
}
