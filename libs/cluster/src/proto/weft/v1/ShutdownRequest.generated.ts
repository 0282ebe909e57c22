// Original file: weft/v1/client.proto


export interface ShutdownRequest {
  'workers'?: (boolean);
}

export interface ShutdownRequest__Output {
  'workers': (boolean);
}
